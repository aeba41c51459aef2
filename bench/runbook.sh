#!/usr/bin/env bash
# Phases 3 and 4 of Model Engine's smoke tests (R0) as one would script them: its curl commands, its sleeps, its order.
# GATEWAY_URL, AUTH_TOKEN, IMAGE_REPOSITORY, IMAGE_TAG are in the environment; one line goes to $REQUESTS for each curl.
set -euo pipefail

request() {
    echo "$*" >> "$REQUESTS"
    curl -sf -H "Authorization: Bearer $AUTH_TOKEN" -H "Content-Type: application/json" "$@"
}

field() { # the Python expression $1 over the JSON `found` on standard input
    python3 -c "import json, sys; found = json.load(sys.stdin); print($1)"
}

create() { # name, type
    local echo_server='["python", "-m", "model_engine_server.inference.forwarding.echo_server", "--port", "5005"]'
    request -X POST "$GATEWAY_URL/v1/model-endpoints" -d '{
        "name": "'"$1"'",
        "model_bundle": {
            "flavor": "streaming_enhanced_runnable_image",
            "repository": "'"$IMAGE_REPOSITORY"'",
            "tag": "'"$IMAGE_TAG"'",
            "command": '"$echo_server"',
            "streaming_command": '"$echo_server"',
            "env": {
                "HTTP_HOST": "0.0.0.0",
                "ML_INFRA_SERVICES_CONFIG_PATH": "/workspace/model-engine/model_engine_server/core/configs/default.yaml"
            },
            "protocol": "http",
            "readiness_initial_delay_seconds": 20
        },
        "endpoint_type": "'"$2"'",
        "cpus": "1", "memory": "1Gi", "storage": "2Gi", "gpus": 0,
        "min_workers": 1, "max_workers": 1, "per_worker": 1,
        "labels": {"team": "infra", "product": "smoke-test"},
        "metadata": {}
    }'
}

await_ready() { # name
    for _ in $(seq 1 50); do
        status=$(request "$GATEWAY_URL/v1/model-endpoints?name=$1" |
            field "found['model_endpoints'][0]['status'] if found['model_endpoints'] else 'NOT_FOUND'")
        echo "$1: $status"
        [ "$status" = READY ] && return
        sleep 30
    done
    exit 1
}

id_of() { # name
    request "$GATEWAY_URL/v1/model-endpoints?name=$1" | field "found['model_endpoints'][0]['id']"
}

await_success() { # task id
    for _ in $(seq 1 30); do
        status=$(request "$GATEWAY_URL/v1/async-tasks/$1" | field "found['status']")
        echo "task: $status"
        [ "$status" = SUCCESS ] && return
        [ "$status" = FAILURE ] && exit 1
        sleep 10
    done
    exit 1
}

request "$GATEWAY_URL/healthz"                                                                       # 3.1
request "$GATEWAY_URL/v1/model-endpoints"                                                            # 3.2
create smoke-test-echo-sync sync                                                                     # 4.1
await_ready smoke-test-echo-sync                                                                     # 4.2
id=$(id_of smoke-test-echo-sync)                                                                     # 4.3
request -X POST -d '{"args": {"hello": "world"}}' "$GATEWAY_URL/v1/sync-tasks?model_endpoint_id=$id"
create smoke-test-echo-async async                                                                   # 4.4
await_ready smoke-test-echo-async
id=$(id_of smoke-test-echo-async)                                                                    # 4.5
task=$(request -X POST -d '{"args": {"y": 1}, "url": null}' \
    "$GATEWAY_URL/v1/async-tasks?model_endpoint_id=$id" | field "found['task_id']")
await_success "$task"
for name in smoke-test-echo-sync smoke-test-echo-async; do                                           # 4.6
    request -X DELETE "$GATEWAY_URL/v1/model-endpoints/$(id_of $name)"
done
