{{/*
The configuration without its secrets, and the secrets, as JSON:
  config   what goes to the ConfigMap
  secrets  what goes to the Secret: file name to text
  existing Secrets that are there already: [{name, key, path}]
A secret's place in the configuration is taken by its file: token by tokenFile and so on.
*/}}
{{- define "auditpost.plan" -}}
{{- $plan := dict "secrets" dict "existing" list -}}
{{- if not .Values.auditLogForwarders -}}
{{- fail "auditLogForwarders: say where events go, such as --set 'auditLogForwarders[0].uri=https://siem.example.com/ingest'" -}}
{{- end -}}
{{- $forwarders := list -}}
{{- range $n, $written := .Values.auditLogForwarders -}}
{{- $forwarder := deepCopy $written -}}
{{- $name := default (printf "forwarder-%d" (add1 $n)) $forwarder.name -}}
{{- $_ := set $forwarder "name" $name -}}
{{- if and $forwarder.token $forwarder.tokenSecret -}}
{{- fail (printf "auditLogForwarders: %s: it has a token and a tokenSecret; which is meant?" $name) -}}
{{- end -}}
{{- with $forwarder.tokenSecret -}}
{{- $secret := required (printf "auditLogForwarders: %s: tokenSecret.name or existingSecret is needed" $name) (default $.Values.existingSecret .name) -}}
{{- $path := printf "%s.token" $name -}}
{{- $_ := set $plan "existing" (append $plan.existing (dict "name" $secret "key" (default "token" .key) "path" $path)) -}}
{{- $_ := set $forwarder "tokenFile" (printf "/var/run/secrets/auditpost/%s" $path) -}}
{{- end -}}
{{- $forwarder = omit $forwarder "tokenSecret" -}}
{{- include "auditpost.toFile" (list $plan $forwarder "token" $name) -}}
{{- with $forwarder.auth -}}
{{- if .basic -}}{{- include "auditpost.toFile" (list $plan .basic "password" $name) -}}{{- end -}}
{{- if .oauth2 -}}{{- include "auditpost.toFile" (list $plan .oauth2 "clientSecret" $name) -}}{{- end -}}
{{- end -}}
{{- range $header, $value := $forwarder.headers -}}
{{- if and (regexMatch "(?i)auth|token|key|secret|cookie|password" $header) (not (regexMatch "[$][{]" (toString $value))) -}}
{{- fail (printf "auditLogForwarders: %s: header %s looks like a secret and would stand in the ConfigMap: write ${NAME} and set NAME by env or envFrom" $name $header) -}}
{{- end -}}
{{- end -}}
{{- if not (hasKey $forwarder "enabledEvents") -}}{{- $_ := set $forwarder "enabledEvents" $.Values.enabledEvents -}}{{- end -}}
{{- if and $.Values.disabledEvents (not (hasKey $forwarder "disabledEvents")) -}}
{{- $_ := set $forwarder "disabledEvents" $.Values.disabledEvents -}}
{{- end -}}
{{- $forwarders = append $forwarders $forwarder -}}
{{- end -}}
{{- $sources := list -}}
{{- range (include "auditpost.sources" . | fromJsonArray) -}}
{{- $source := . -}}
{{- include "auditpost.toFile" (list $plan $source "token" $source.name) -}}
{{- if $source.hmac -}}{{- include "auditpost.toFile" (list $plan $source.hmac "secret" (printf "%s.hmac" $source.name)) -}}{{- end -}}
{{- if $source.signature -}}{{- include "auditpost.toFile" (list $plan $source.signature "secret" (printf "%s.signature" $source.name)) -}}{{- end -}}
{{- $sources = append $sources $source -}}
{{- end -}}
{{- $config := dict "stateDir" "/var/lib/auditpost/state" "drainTimeout" .Values.drainTimeout "admin" (dict "listen" "0.0.0.0:9600") "log" .Values.log "sources" $sources "forwarders" $forwarders -}}
{{- $_ := set $plan "config" $config -}}
{{- toJson $plan -}}
{{- end -}}

{{/* Moves a secret from the configuration to a file; (plan, where it is, its key, whose). ${NAME} is none. */}}
{{- define "auditpost.toFile" -}}
{{- $plan := index . 0 -}}{{- $at := index . 1 -}}{{- $key := index . 2 -}}
{{- with get $at $key -}}
{{- if not (regexMatch "^[$][{]" (toString .)) -}}
{{- $file := printf "%s.%s" (index $ 3) $key -}}
{{- if hasKey $plan.secrets $file -}}{{- fail (printf "two secrets are called %s: give forwarders and sources names of their own" $file) -}}{{- end -}}
{{- $_ := set $plan.secrets $file (toString .) -}}
{{- $_ := unset $at $key -}}
{{- $_ := set $at (printf "%sFile" $key) (printf "/var/run/secrets/auditpost/%s" $file) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* As written, or what the mode needs. */}}
{{- define "auditpost.sources" -}}
{{- if .Values.sources -}}
{{- toJson .Values.sources -}}
{{- else if eq .Values.mode "daemonset" -}}
{{- $logs := .Values.daemonset -}}
{{- if not $logs.include -}}
{{- fail "daemonset.include: say which container logs have audit events, such as /var/log/pods/shop_*/*/*.log" -}}
{{- end -}}
{{- /* Its own diagnostics would come round for ever. */ -}}
{{- $own := printf "/var/log/pods/%s_%s-*/*/*.log" .Release.Namespace (include "auditpost.fullname" .) -}}
{{- $source := dict "name" "containers" "kind" "file" "format" "cri" "include" $logs.include "exclude" (append $logs.exclude $own) -}}
{{- toJson (list (merge $source (pick $logs "startAt" "stream" "onlyJson"))) -}}
{{- else if eq .Values.mode "sidecar" -}}
{{- $include := list -}}
{{- range .Values.sidecar.include -}}{{- $include = append $include (printf "%s/%s" $.Values.sidecar.logPath .) -}}{{- end -}}
{{- toJson (list (dict "name" "app" "kind" "file" "include" $include)) -}}
{{- else -}}
{{- toJson (list (dict "name" "webhooks" "kind" "http" "listen" "0.0.0.0:8088") (dict "name" "lines" "kind" "tcp" "listen" "0.0.0.0:5140" "acks" true)) -}}
{{- end -}}
{{- end -}}

{{/* The ports on which sources listen, as JSON: [{name, port, protocol}]. */}}
{{- define "auditpost.ports" -}}
{{- $ports := list -}}
{{- range (include "auditpost.plan" . | fromJson).config.sources -}}
{{- if .listen -}}
{{- $port := splitList ":" .listen | last | int -}}
{{- $protocol := ternary "UDP" "TCP" (eq .kind "udp") -}}
{{- $ports = append $ports (dict "name" (printf "%s-%d" .kind $port) "port" $port "protocol" $protocol) -}}
{{- end -}}
{{- end -}}
{{- toJson $ports -}}
{{- end -}}
