"""Starts several workers of one training on this machine, to try `--strategy=multi_worker` out.

python -m keras_gan.launch --workers=2 -- --arch=dcgan --loss=lsgan

What follows `--` are flags of train.py. If one worker fails, all are ended.
"""

import json
import os
import socket
import subprocess
import sys
import time

from absl import flags

from keras_gan import InputError, commands

FLAGS = flags.FLAGS


def define_flags():
    flags.DEFINE_integer("workers", 2, "How many processes.", lower_bound=1)


def tf_configs(count):
    """The TF_CONFIG of each of `count` workers of one cluster on this machine, at free ports."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    cluster = {"worker": [f"localhost:{s.getsockname()[1]}" for s in sockets]}
    for s in sockets:
        s.close()
    tasks = ({"type": "worker", "index": index} for index in range(count))
    return [json.dumps({"cluster": cluster, "task": task}) for task in tasks]


def main(train_flags):
    if not os.path.exists("train.py"):
        raise InputError("There is no train.py here: start this in the folder that holds it.")
    command = [sys.executable, "train.py", "--strategy=multi_worker", *train_flags]
    workers = []
    try:
        for config in tf_configs(FLAGS.workers):
            environment = {**os.environ, "TF_CONFIG": config}
            workers.append(subprocess.Popen(command, env=environment))
        statuses = [None]
        while None in statuses:
            time.sleep(0.2)
            statuses = [worker.poll() for worker in workers]
            for i, status in enumerate(statuses):
                if status:
                    raise InputError(f"Worker {i} ended with status {status}.")
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


if __name__ == "__main__":
    define_flags()
    commands.start(main, operands=True)
