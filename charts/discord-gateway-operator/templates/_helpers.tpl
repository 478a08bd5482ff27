{{/* At most 50 characters: "-simulator", the longest ending, has to fit into a DNS label of 63. */}}
{{- define "operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := .Chart.Name -}}
{{- (contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name)) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Cluster-wide objects carry the namespace as well, so that two releases never share one. */}}
{{- define "operator.clusterName" -}}
{{- printf "%s-%s" .Release.Namespace (include "operator.fullname" .) -}}
{{- end -}}

{{- define "operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/*
What selects a component's pods; it never changes over the versions of the chart. The operator finds its own by the name
(shard pods let them in), and so does the command line: it is no value.
*/}}
{{- define "operator.selector" -}}
app.kubernetes.io/name: discord-gateway-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "operator.simulatorSelector" -}}
app.kubernetes.io/name: discord-gateway-simulator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* What every object of the release carries, besides its selector. */}}
{{- define "operator.commonLabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: discord-gateway
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "operator.labels" -}}
{{ include "operator.selector" . }}
{{ include "operator.commonLabels" . }}
{{- end -}}

{{/* An image as a pod names it. A digest says exactly which, and goes before the tag. */}}
{{- define "operator.image" -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (.tag | toString) -}}
{{- end -}}
{{- end -}}

{{- define "operator.ownImage" -}}
{{- $image := .Values.image -}}
{{- include "operator.image" (dict "repository" $image.repository "tag" (default .Chart.AppVersion $image.tag) "digest" $image.digest) -}}
{{- end -}}

{{/* What is left empty is as the operator's own. A digest belongs to its repository and tag: with another of these it is not taken over. */}}
{{- define "operator.shardPodImage" -}}
{{- $own := .Values.image -}}
{{- $image := .Values.shardPods.image -}}
{{- $digest := $image.digest -}}
{{- if not (or $image.repository $image.tag $image.digest) -}}{{- $digest = $own.digest -}}{{- end -}}
{{- include "operator.image" (dict "repository" (default $own.repository $image.repository) "tag" (default (default .Chart.AppVersion $own.tag) $image.tag) "digest" $digest) -}}
{{- end -}}

{{- define "operator.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{/* The Pod Security Standard "restricted", and a root file system that cannot be written to. */}}
{{- define "operator.containerSecurityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}
