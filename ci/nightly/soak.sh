#!/usr/bin/env bash
# ci/nightly/soak.sh [N]: the random traffic of tests/conservation.rs with N times the seeds of a normal run (10 if not
# given), and removals of the example nic at N times 200 seeds. About N minutes on two cores.
set -euo pipefail
cd "$(dirname "$0")/../.."
times=${1:-10}
BOTTOMHALF_SOAK=$times cargo test -p bottomhalf --test conservation -- --nocapture
bash ci/nic-removal.sh 1 $((200 * times))
