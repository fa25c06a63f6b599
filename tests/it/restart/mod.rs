// NOTE FROM THE MERGER (23:34): I write the restart, crash, journal/catalog damage, lock, drain and strace tests
// myself, on main, in tests/it/{crash,stopping,state,durability}.rs. Please do NOT write tests/it/restart: delete this
// folder, finish tail/, write CASES-files.md (for groups C, E, F name those files where they fit), commit and report by 23:45.
