{{- define "dafty-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* The release's name says it all where it has the chart's in it. */}}
{{- define "dafty-operator.fullname" -}}
{{- $name := include "dafty-operator.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* A Deployment's selector can't change, and with it neither these nor nameOverride. */}}
{{- define "dafty-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "dafty-operator.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
control-plane: controller-manager
{{- end }}

{{- define "dafty-operator.labels" -}}
{{ include "dafty-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The same with more of an object's own, which win over commonLabels. */}}
{{- define "dafty-operator.labelsAnd" -}}
{{- mergeOverwrite (include "dafty-operator.labels" .context | fromYaml) (.more | default dict) | toYaml }}
{{- end }}

{{- define "dafty-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "dafty-operator.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{/* Operators that share a lease stand by for each other: those of some namespaces have one each. */}}
{{- define "dafty-operator.leaderElectionID" -}}
{{- $own := .Values.watchNamespaces | empty | ternary "dafty-operator" (include "dafty-operator.fullname" .) }}
{{- default (printf "%s.dafty.ai" $own) .Values.leaderElection.id }}
{{- end }}

{{- define "dafty-operator.image" -}}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{/* The bytes of an amount, as Kubernetes or Go writes it; nothing where it is written in an uncommon way. */}}
{{- define "dafty-operator.bytes" -}}
{{- $units := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 }}
{{- $amount := kindIs "string" . | ternary . (int64 . | toString) }}
{{- $number := regexFind "^[0-9]+(\\.[0-9]+)?" $amount }}
{{- with get $units ($amount | trimPrefix $number | trimSuffix "B") }}
{{- mulf (float64 $number) . | printf "%.0f" }}
{{- end }}
{{- end }}

{{- define "dafty-operator.subjects" -}}
- kind: ServiceAccount
  name: {{ include "dafty-operator.serviceAccountName" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{/* The rules of a role of config/rbac, which make chart has copied. */}}
{{- define "dafty-operator.rules" -}}
{{- get (.context.Files.Get (printf "files/rbac/%s.yaml" .role) | fromYaml) "rules" | toYaml }}
{{- end }}

{{/* The rules of one of the operator's own roles, which are in one file. */}}
{{- define "dafty-operator.managerRules" -}}
{{- range $document := .context.Files.Get "files/rbac/role.yaml" | splitList "---\n" }}
{{- $role := fromYaml $document }}
{{- if eq (dig "metadata" "name" "" $role) $.role }}
{{- toYaml $role.rules }}
{{- end }}
{{- end }}
{{- end }}

{{/* How the metrics are scraped, by either kind of monitor: as config/prometheus does, but for what the values say. */}}
{{- define "dafty-operator.endpoint" -}}
{{- $values := .context.Values.metrics }}
{{- $endpoint := omit (first (.context.Files.Get "files/monitor.yaml" | fromYaml).spec.endpoints) "port" "scheme" "authorization" "tlsConfig" }}
{{- $_ := set $endpoint "port" .port }}
{{- $_ := set $endpoint "scheme" ($values.secure | ternary "https" "http") }}
{{- if $values.secure }}
{{- $token := dict "name" (printf "%s-metrics-scraper-token" (include "dafty-operator.fullname" .context)) "key" "token" }}
{{- $_ := set $endpoint "authorization" (dict "credentials" ($values.tokenSecret | default $token)) }}
{{- /* The operator's own certificate is made at its start, and signed by nobody. */}}
{{- $_ := set $endpoint "tlsConfig" ($values.tlsConfig | default (dict "insecureSkipVerify" true)) }}
{{- end }}
{{- range $key := list "interval" "scrapeTimeout" "relabelings" "metricRelabelings" }}
{{- with get $ $key }}
{{- $_ := set $endpoint $key . }}
{{- end }}
{{- end }}
{{- toYaml $endpoint }}
{{- end }}
