{{- define "sluice.image" -}}
{{- $root := index . 0 -}}{{- $gpu := index . 1 -}}
{{- if $gpu -}}
{{ $root.Values.image.repository }}:{{ $root.Values.image.gpuTag | default (printf "%s-gpu" $root.Chart.AppVersion) }}
{{- else -}}
{{ $root.Values.image.repository }}:{{ $root.Values.image.tag | default $root.Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "sluice.labels" -}}
app.kubernetes.io/name: sluice
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{/* Of one stage: [root, stage] */}}
{{- define "sluice.selector" -}}
app.kubernetes.io/name: sluice
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "sluice.environment" -}}
- name: SLUICE_CONFIG
  value: /etc/sluice/sluice.yaml
- name: SLUICE_DATA
  value: /data
- name: SLUICE_METRICS__PORT
  value: {{ .Values.metrics.port | quote }}
- name: SLUICE_METRICS__HOST
  value: 0.0.0.0
{{- if .Values.strimzi.enabled }}
- name: SLUICE_KAFKA__SASL__PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ .Values.strimzi.user }}
      key: password
{{- end }}
{{- end -}}

{{- define "sluice.podSecurity" -}}
runAsNonRoot: true
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "sluice.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* What every container mounts; a pod's volumes are below. */}}
{{- define "sluice.mounts" -}}
- name: config
  mountPath: /etc/sluice
  readOnly: true
- name: data
  mountPath: /data
- name: temporary
  mountPath: /tmp
- name: teacher
  mountPath: /teacher
  readOnly: true
{{- end -}}

{{/* [root, size of the data volume] */}}
{{- define "sluice.volumes" -}}
{{- $root := index . 0 -}}
- name: config
  configMap:
    name: {{ $root.Release.Name }}-config
- name: data
  emptyDir:
    sizeLimit: {{ index . 1 }}
- name: temporary
  emptyDir: {}
- name: teacher
{{- toYaml $root.Values.teacher.volume | nindent 2 }}
{{- end -}}
