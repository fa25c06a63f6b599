// Logs each line of standard input through one of Node's rotators: rotate.js ROTATOR DIRECTORY.
'use strict';

const path = require('path');
const readline = require('readline');

const [, , kind, directory] = process.argv;
const FILE = path.join(directory, 'audit.log');
const BYTES = 10000;
const GENERATIONS = 5000;

function winston(transport) {
  const { createLogger, format } = require('winston');
  const logger = createLogger({ format: format.printf((info) => info.message), transports: [transport] });
  return (line) => logger.info(line);
}

const rotators = {
  'rotating-file-stream': (options) => {
    const stream = require('rotating-file-stream').createStream('audit.log', { path: directory, size: '10K', ...options });
    return (line) => stream.write(line + '\n');
  },
  'winston-file': (options) => {
    const { transports } = require('winston');
    return winston(new transports.File({ filename: FILE, maxsize: BYTES, ...options }));
  },
  'winston-daily': (options) => {
    const Daily = require('winston-daily-rotate-file');
    const filename = path.join(directory, 'audit-%DATE%.log');
    return winston(new Daily({ filename, auditFile: path.join(directory, '..', 'audit.json'), maxSize: BYTES, ...options }));
  },
  log4js: (options) => {
    const log4js = require('log4js');
    log4js.configure({
      appenders: {
        audit: {
          type: 'file',
          filename: FILE,
          maxLogSize: BYTES,
          backups: GENERATIONS,
          layout: { type: 'messagePassThrough' },
          ...options,
        },
      },
      categories: { default: { appenders: ['audit'], level: 'info' } },
    });
    const logger = log4js.getLogger();
    return (line) => logger.info(line);
  },
  'pino-roll': async (options) => {
    const stream = await require('pino-roll')({ file: path.join(directory, 'audit'), size: '0.01m', ...options });
    return (line) => stream.write(line + '\n');
  },
};

async function main() {
  const [name, ...words] = kind.split(' ');
  const options = words.length > 0 ? JSON.parse(words.join(' ')) : {};
  const log = await rotators[name](options);
  for await (const line of readline.createInterface({ input: process.stdin })) {
    log(line);
  }
}

main();
