{{- define "squall.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "squall.selector" -}}
app.kubernetes.io/name: squall
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "squall.labels" -}}
{{ include "squall.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* The job under which Prometheus keeps this release: rules and dashboards tell installations apart by it. */}}
{{- define "squall.job" -}}
{{- $name := include "squall.fullname" . -}}
{{- ternary $name (printf "squall-%s" $name) (hasPrefix "squall" $name) -}}
{{- end -}}

{{- define "squall.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "squall.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* The image of a variant; call with (dict "root" $ "variant" "cpu"). */}}
{{- define "squall.image" -}}
{{- $image := .root.Values.image -}}
{{- $digest := index $image.digests .variant -}}
{{- if $digest -}}
{{- printf "%s@%s" $image.repository $digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default (printf "%s-%s" .root.Chart.AppVersion .variant) (index $image.tags .variant)) -}}
{{- end -}}
{{- end -}}

{{/* squall.yaml: the values under `config`, and where rules, models and labels lie. */}}
{{- define "squall.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- if .Values.rules -}}
{{- $monitor := merge (dict "rules" "/etc/squall/rules.yaml") (default dict $config.monitor) -}}
{{- $_ := set $config "monitor" $monitor -}}
{{- end -}}
{{- $retrain := default dict $config.retrain -}}
{{- if .Values.models.existingClaim -}}
{{- $retrain = merge $retrain (dict "models" "/models") -}}
{{- end -}}
{{- if .Values.retrain.enabled -}}
{{- $retrain = merge $retrain (dict "labels" "/data/labels" "datasets" "/data/datasets" "runs" "/data/retrain" "registry" "/data/registry") -}}
{{- end -}}
{{- if $retrain -}}
{{- $_ := set $config "retrain" $retrain -}}
{{- end -}}
{{- toYaml $config -}}
{{- end -}}

{{- define "squall.files" -}}
squall.yaml: |
  {{- include "squall.config" . | nindent 2 }}
{{- with .Values.rules }}
rules.yaml: |
  {{- . | nindent 2 }}
{{- end }}
{{- range $name, $text := .Values.files }}
{{ printf "file-%s" $name }}: |
  {{- $text | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Where the files of the ConfigMap go: those of `files` into a folder of their own. */}}
{{- define "squall.items" -}}
- {key: squall.yaml, path: squall.yaml}
{{- if .Values.rules }}
- {key: rules.yaml, path: rules.yaml}
{{- end }}
{{- range $name, $_ := .Values.files }}
- {key: {{ printf "file-%s" $name }}, path: {{ printf "files/%s" $name }}}
{{- end }}
{{- end -}}

{{- define "squall.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "squall.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* TLS of what a worker serves: its variables, its mount and its volume. */}}
{{- define "squall.tlsEnv" -}}
{{- if .Values.workerTls.existingSecret }}
- {name: SQUALL_WORKER__TLS_CERT_FILE, value: /etc/squall-tls/tls.crt}
- {name: SQUALL_WORKER__TLS_KEY_FILE, value: /etc/squall-tls/tls.key}
{{- end }}
{{- end -}}

{{- define "squall.tlsMount" -}}
{{- if .Values.workerTls.existingSecret }}
- {name: tls, mountPath: /etc/squall-tls, readOnly: true}
{{- end }}
{{- end -}}

{{- define "squall.tlsVolume" -}}
{{- with .Values.workerTls.existingSecret }}
- name: tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end -}}

{{/* What Squall reads; call with (dict "root" $ "sasl" <the workload's own kafkaSasl>). */}}
{{- define "squall.env" -}}
{{- $ := .root -}}
{{- $kafka := $.Values.config.kafka -}}
{{- $protocol := default "PLAINTEXT" $kafka.security_protocol -}}
- {name: SQUALL_CONFIG, value: /etc/squall/squall.yaml}
- {name: SQUALL_WORKER__HOST, value: 0.0.0.0}
- {name: SQUALL_WORKER__PORT, value: "6066"}
- {name: SQUALL_WORKER__DATA_DIR, value: /var/lib/squall/worker}
{{- if hasPrefix "SASL" $protocol }}
{{- $secret := required (printf "config.kafka.security_protocol is %s: name the Secret with the login in kafkaSasl.existingSecret" $protocol) (coalesce (default dict .sasl).existingSecret $.Values.kafkaSasl.existingSecret) }}
- name: SQUALL_KAFKA__SASL_USERNAME
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ $.Values.kafkaSasl.usernameKey }}}}
- name: SQUALL_KAFKA__SASL_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ $secret }}, key: {{ $.Values.kafkaSasl.passwordKey }}}}
{{- end }}
{{- with $.Values.kafkaTls }}
{{- if .existingSecret }}
{{- if .caKey }}
- {name: SQUALL_KAFKA__SSL_CA_FILE, value: /etc/squall-kafka/{{ .caKey }}}
{{- end }}
{{- if .certKey }}
- {name: SQUALL_KAFKA__SSL_CERT_FILE, value: /etc/squall-kafka/{{ .certKey }}}
- {name: SQUALL_KAFKA__SSL_KEY_FILE, value: /etc/squall-kafka/{{ required "kafkaTls.certKey needs kafkaTls.keyKey" .keyKey }}}
{{- end }}
{{- if .keyPasswordKey }}
- name: SQUALL_KAFKA__SSL_KEY_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .existingSecret }}, key: {{ .keyPasswordKey }}}}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "squall.mounts" -}}
- {name: config, mountPath: /etc/squall, readOnly: true}
- {name: data, mountPath: /var/lib/squall}
- {name: tmp, mountPath: /tmp}
{{- if .Values.kafkaTls.existingSecret }}
- {name: kafka-tls, mountPath: /etc/squall-kafka, readOnly: true}
{{- end }}
{{- end -}}

{{/* Volumes of every pod; call with (dict "root" $ "config" <name of the ConfigMap>). */}}
{{- define "squall.volumes" -}}
{{- $ := .root -}}
- name: config
  configMap:
    name: {{ .config }}
    items:
      {{- include "squall.items" $ | nindent 6 }}
- name: data
  emptyDir: {sizeLimit: 1Gi}
- name: tmp
  emptyDir: {sizeLimit: 1Gi}
{{- with $.Values.kafkaTls.existingSecret }}
- name: kafka-tls
  secret: {secretName: {{ . }}, defaultMode: 0440}
{{- end }}
{{- end -}}

{{- define "squall.probes" -}}
{{- $scheme := ternary "HTTPS" "HTTP" (not (empty .Values.workerTls.existingSecret)) -}}
startupProbe:
  httpGet: {path: /healthz, port: metrics, scheme: {{ $scheme }}}
  periodSeconds: 5
  failureThreshold: {{ max 1 (div (int .Values.startupSeconds) 5) }}
livenessProbe:
  httpGet: {path: /healthz, port: metrics, scheme: {{ $scheme }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
readinessProbe:
  httpGet: {path: /readyz, port: metrics, scheme: {{ $scheme }}}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
{{- end -}}

{{/* Spread over zones and machines; call with (dict "root" $ "component" "scorer"). */}}
{{- define "squall.spread" -}}
{{- if .root.Values.topologySpread.enabled }}
topologySpreadConstraints:
  {{- range $key := .root.Values.topologySpread.keys }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "squall.selector" $.root | nindent 8 }}
        app.kubernetes.io/component: {{ $.component }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* Where the pods of a workload may run; call with its values. */}}
{{- define "squall.placement" -}}
{{- $selector := deepCopy (default dict .nodeSelector) -}}
{{- $tolerations := default list .tolerations -}}
{{- if and .gpu .gpu.enabled -}}
{{- $selector = merge $selector (default dict .gpu.nodeSelector) -}}
{{- $tolerations = concat $tolerations (default list .gpu.tolerations) -}}
{{- end -}}
{{- with $selector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{- define "squall.pullSecrets" -}}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* More replicas than partitions would stand by and cost; call with (dict "what" "scorer" "replicas" 3 "partitions" 4 "setting" "..."). */}}
{{- define "squall.bounded" -}}
{{- if gt (int .replicas) (int .partitions) -}}
{{- fail (printf "%s is %d, but %s is %d: a worker without a partition does nothing" .what (int .replicas) .setting (int .partitions)) -}}
{{- end -}}
{{- end -}}
