"""A Ray cluster of three nodes on this machine, held by a process of its own; run as a script.

The head has no cores, so that jobs run on the two others. Prints the address. Nodes are killed from inside (see
`killing`); for each that is gone, for whatever reason, another joins. The end of input ends it.
"""

from __future__ import annotations

import logging
import select
import sys

from ray.cluster_utils import Cluster

STORE = 80 * 2**20
# a busy machine is no death
NOTICE_SOON = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 30}


def main() -> None:
    logging.disable(logging.INFO)
    head = {"num_cpus": 0, "object_store_memory": STORE, "include_dashboard": False, "_system_config": NOTICE_SOON}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(2):
        cluster.add_node(num_cpus=1, object_store_memory=STORE, wait=False)
    cluster.wait_for_nodes()
    sys.stdout.write(f"{cluster.address}\n")
    sys.stdout.flush()
    while not select.select([sys.stdin], [], [], 0.2)[0]:
        for node in list(cluster.worker_nodes):
            if node.dead_processes():  # asking has reaped its raylet: else its workers take it for alive
                cluster.remove_node(node, allow_graceful=False)
                cluster.add_node(num_cpus=1, object_store_memory=STORE, wait=False)
    cluster.shutdown()


if __name__ == "__main__":
    main()
