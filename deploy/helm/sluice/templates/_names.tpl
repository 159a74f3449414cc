{{/* [root, whether for GPUs]. A tag `sha256:…` is the image's digest. */}}
{{- define "sluice.image" -}}
{{- $root := index . 0 -}}{{- $image := $root.Values.image -}}
{{- $tag := $image.tag | default $root.Chart.AppVersion -}}
{{- if index . 1 -}}{{- $tag = $image.gpuTag | default (printf "%s-gpu" $root.Chart.AppVersion) -}}{{- end -}}
{{ $image.repository }}{{ ternary "@" ":" (hasPrefix "sha256:" $tag) }}{{ $tag }}
{{- end -}}

{{/* [name, most letters]: a name that is longer ends in a digest of itself */}}
{{- define "sluice.short" -}}
{{- $name := index . 0 -}}{{- $most := int (index . 1) -}}
{{- if gt (len $name) $most -}}
{{ printf "%s-%s" (trunc (int (sub $most 9)) $name | trimSuffix "-") (sha256sum $name | trunc 8) }}
{{- else -}}
{{ $name }}
{{- end -}}
{{- end -}}

{{- define "sluice.labels" -}}
app.kubernetes.io/name: sluice
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{/* Of one stage: [root, stage] */}}
{{- define "sluice.selector" -}}
app.kubernetes.io/name: sluice
app.kubernetes.io/instance: {{ (index . 0).Release.Name | quote }}
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
- name: SLUICE_KAFKA__SASL__USERNAME
  value: {{ .Values.strimzi.user | quote }}
- name: SLUICE_KAFKA__SASL__PASSWORD
  valueFrom:
    secretKeyRef:
      name: {{ .Values.strimzi.user }}
      key: password
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "sluice.secrets" -}}
{{- with .Values.secretName }}
envFrom:
  - secretRef:
      name: {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "sluice.podSecurity" -}}
runAsNonRoot: true
{{- with .Values.runAsUser }}
runAsUser: {{ int64 . }}
runAsGroup: {{ int64 . }}
fsGroup: {{ int64 . }}
{{- end }}
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
{{- if .Values.strimzi.enabled }}
- name: kafka-ca
  mountPath: /etc/kafka-ca
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
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
{{- if $root.Values.strimzi.enabled }}
# Of the authority that signs the brokers' certificates; Strimzi keeps it there.
- name: kafka-ca
  secret:
    secretName: {{ $root.Values.strimzi.cluster }}-cluster-ca-cert
{{- end }}
{{- with $root.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
