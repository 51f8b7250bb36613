{{- define "eliop2p.labels" -}}
app.kubernetes.io/name: eliop2p
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
{{- define "eliop2p.selector" -}}
app.kubernetes.io/name: eliop2p
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "eliop2p.secret" -}}
{{ .Values.existingSecret | default (printf "%s-eliop2p" .Release.Name) }}
{{- end }}
{{- define "eliop2p.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- define "eliop2p.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}
