#!/usr/bin/env bash
# ci/nightly/soak.sh [N]: N times the seeds of ci/seeds.sh (10 if not given), and removals of the example nic at
# N times 200 seeds. About three minutes on two cores for each N.
set -euo pipefail
cd "$(dirname "$0")/../.."
times=${1:-10}
bash ci/seeds.sh $((50000 * times))
bash ci/nic-removal.sh 1 $((200 * times))
