{{/*
For a chart that depends on this one with `mode: sidecar`; each takes this chart's scope, `.Subcharts.auditpost`:

  auditpost.sidecar      the container: an item of initContainers, or of containers with `sidecar.native: false`
  auditpost.volumes      its volumes
  auditpost.logMount     the mount of the application's container that shares the log volume; (scope, path)
  auditpost.annotations  of the pod: a changed configuration makes new pods
*/}}
{{- define "auditpost.sidecar" -}}
{{- $container := include "auditpost.container" . | fromYaml -}}
{{- if .Values.sidecar.native -}}
{{- if semverCompare "<1.29-0" .Capabilities.KubeVersion.Version -}}
{{- fail "sidecar.native: needs Kubernetes 1.29; set it to false, and include auditpost.sidecar in containers" -}}
{{- end -}}
{{- $_ := set $container "restartPolicy" "Always" -}}
{{- end -}}
{{- toYaml (list $container) -}}
{{- end -}}

{{- define "auditpost.logMount" -}}
{{- toYaml (list (dict "name" (index . 0).Values.sidecar.logVolume "mountPath" (index . 1))) -}}
{{- end -}}

{{/* Without the secrets: their files are read again when they change, and a hash of them would help to guess them. */}}
{{- define "auditpost.annotations" -}}
checksum/auditpost: {{ omit (include "auditpost.plan" . | fromJson) "secrets" | toJson | sha256sum }}
{{- end -}}

{{- define "auditpost.container" -}}
name: auditpost
image: {{ include "auditpost.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [run, -c, /etc/auditpost/config.yaml]
env:
  - name: NODE_NAME
    valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
  - name: POD_NAME
    valueFrom: {fieldRef: {fieldPath: metadata.name}}
  - name: POD_NAMESPACE
    valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
  {{- with .Values.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  - {name: auditpost, containerPort: 9600, protocol: TCP}
  {{- range include "auditpost.ports" . | fromJsonArray }}
  - {name: {{ .name }}, containerPort: {{ .port | int }}, protocol: {{ .protocol }}}
  {{- end }}
startupProbe:
  {{- toYaml .Values.startupProbe | nindent 2 }}
livenessProbe:
  {{- toYaml .Values.livenessProbe | nindent 2 }}
readinessProbe:
  {{- toYaml .Values.readinessProbe | nindent 2 }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  {{- $defaults := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" (dict "drop" (list "ALL")) }}
  {{- if eq .Values.mode "sidecar" }}
  {{- $_ := mergeOverwrite $defaults (dict "runAsNonRoot" true "runAsUser" 65532 "runAsGroup" 65532 "seccompProfile" (dict "type" "RuntimeDefault")) }}
  {{- end }}
  {{- toYaml (mergeOverwrite $defaults (deepCopy .Values.securityContext)) | nindent 2 }}
volumeMounts:
  - {name: auditpost-config, mountPath: /etc/auditpost, readOnly: true}
  # `stateDir` is a directory of its own below: the volume's root may be open to a group, and state must not be.
  - {name: auditpost-state, mountPath: /var/lib/auditpost}
  {{- if include "auditpost.hasSecrets" . }}
  - {name: auditpost-secrets, mountPath: /var/run/secrets/auditpost, readOnly: true}
  {{- end }}
  {{- if eq .Values.mode "daemonset" }}
  - {name: pod-logs, mountPath: /var/log/pods, readOnly: true}
  {{- end }}
  {{- if eq .Values.mode "sidecar" }}
  - {name: {{ .Values.sidecar.logVolume | quote }}, mountPath: {{ .Values.sidecar.logPath | quote }}, readOnly: true}
  {{- end }}
  {{- with .Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Not empty where there is a secret. */}}
{{- define "auditpost.hasSecrets" -}}
{{- $plan := include "auditpost.plan" . | fromJson -}}
{{- if or $plan.secrets $plan.existing -}}true{{- end -}}
{{- end -}}

{{- define "auditpost.volumes" -}}
{{- $plan := include "auditpost.plan" . | fromJson -}}
- name: auditpost-config
  configMap: {name: {{ include "auditpost.fullname" . | quote }}}
{{- if include "auditpost.hasSecrets" . }}
- name: auditpost-secrets
  projected:
    defaultMode: 0444
    sources:
      {{- if $plan.secrets }}
      - secret: {name: {{ include "auditpost.fullname" . | quote }}}
      {{- end }}
      {{- range $plan.existing }}
      - secret:
          name: {{ .name | quote }}
          items: [{key: {{ .key | quote }}, path: {{ .path | quote }}}]
      {{- end }}
{{- end }}
{{- if eq .Values.mode "daemonset" }}
- name: auditpost-state
  hostPath: {path: {{ .Values.daemonset.statePath | quote }}, type: DirectoryOrCreate}
- name: pod-logs
  hostPath: {path: /var/log/pods, type: Directory}
{{- else if and (eq .Values.mode "sidecar") .Values.sidecar.stateClaim }}
- name: auditpost-state
  persistentVolumeClaim: {claimName: {{ .Values.sidecar.stateClaim | quote }}}
{{- else if or (eq .Values.mode "sidecar") (not .Values.persistence.enabled) }}
- name: auditpost-state
  emptyDir: {}
{{- end }}
{{- if and (eq .Values.mode "sidecar") .Values.sidecar.createLogVolume }}
- name: {{ .Values.sidecar.logVolume | quote }}
  emptyDir: {}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The pods of the two workloads. */}}
{{- define "auditpost.podTemplate" -}}
metadata:
  labels:
    {{- include "auditpost.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    {{- include "auditpost.annotations" . | nindent 4 }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "auditpost.serviceAccountName" . | quote }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds | int64 }}
  securityContext:
    {{- $seccomp := dict "seccompProfile" (dict "type" "RuntimeDefault") }}
    {{- $defaults := dict "runAsNonRoot" true "runAsUser" 65532 "runAsGroup" 65532 "fsGroup" 65532 "fsGroupChangePolicy" "OnRootMismatch" }}
    {{- if eq .Values.mode "daemonset" }}
    {{- $defaults = dict "runAsUser" 0 "runAsGroup" 0 }}
    {{- end }}
    {{- toYaml (mergeOverwrite $defaults $seccomp (deepCopy .Values.podSecurityContext)) | nindent 4 }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  containers:
    {{- toYaml (list (include "auditpost.container" . | fromYaml)) | nindent 4 }}
  volumes:
    {{- include "auditpost.volumes" . | nindent 4 }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- /* Nodes that are tainted write logs too. */}}
  {{- with default (ternary (list (dict "operator" "Exists")) list (eq .Values.mode "daemonset")) .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if eq .Values.mode "aggregator" }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- end }}
{{- end -}}
