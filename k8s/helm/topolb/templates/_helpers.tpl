{{- /* SPDX-License-Identifier: Apache-2.0 */ -}}
{{- define "topolb.labels" -}}
app.kubernetes.io/name: topolb
{{- end }}
{{- define "topolb.port" -}}
{{ .Values.listen.port | default (eq .Values.mode "beside" | ternary 10266 10256) }}
{{- end }}
