{{/*
What the operator may do where it watches: what gateway_operator/kube asks of the API server, and nothing else. It applies
by server-side apply, which needs `create` and `patch`. docs/kubernetes.md says what each rule is for.
*/}}
{{- define "operator.rules" -}}
- apiGroups: [discordgateway.dev]
  resources: [discordgateways]
  verbs: [get, list, watch]
- apiGroups: [discordgateway.dev]
  resources: [discordgateways/status]
  verbs: [patch]
# Asked for by clusters that check owner references with blockOwnerDeletion (OwnerReferencesPermissionEnforcement).
- apiGroups: [discordgateway.dev]
  resources: [discordgateways/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch, delete]
# By name alone: none is ever listed.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, create, update]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [create, patch, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [get, create, update]
{{- end -}}
