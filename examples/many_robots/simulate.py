"""Two robots and a server on a network of their own, on one machine: see README.md beside this file.

    sudo .venv/bin/python examples/many_robots/simulate.py --seconds 20

Each of them, and a desk that watches, gets a network namespace with one cable to a common switch, and a shared memory
of its own: nothing can pass but through the network. Prints what the robots received and what the server counted.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LSP = [sys.executable, '-m', 'lsp_ros.cli.main']
SWITCH = 'lsp_switch'
MACHINES = {'lsp_server': '10.77.0.1', 'lsp_robot1': '10.77.0.2', 'lsp_robot2': '10.77.0.3', 'lsp_desk': '10.77.0.4'}
ROBOTS = ('robot1', 'robot2')
# What the server's renderer says of itself once a second, for as long as this listens.
LISTEN = """
import rclpy, sys
from diagnostic_msgs.msg import DiagnosticArray
def told(message):
    for status in message.status:
        if status.name == 'server/renderer':
            print(';'.join(f'{item.key}={item.value}' for item in status.values), flush=True)
rclpy.init()
node = rclpy.create_node('listener')
node.create_subscription(DiagnosticArray, '/diagnostics', told, 10)
rclpy.spin(node)
"""


def ip(*words: str) -> None:
    subprocess.run(['ip', *words], check=True)


def build_network() -> None:
    for name in (SWITCH, *MACHINES):
        ip('netns', 'add', name)
    ip('-n', SWITCH, 'link', 'add', 'switch', 'type', 'bridge')
    ip('-n', SWITCH, 'link', 'set', 'switch', 'up')
    for number, (name, address) in enumerate(MACHINES.items()):
        ip('-n', SWITCH, 'link', 'add', f'port{number}', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name)
        ip('-n', SWITCH, 'link', 'set', f'port{number}', 'master', 'switch', 'up')
        ip('-n', name, 'addr', 'add', f'{address}/24', 'dev', 'eth0')
        for device in ('lo', 'eth0'):
            ip('-n', name, 'link', 'set', device, 'up')
        ip('-n', name, 'route', 'add', 'default', 'dev', 'eth0')  # multicast, too


def remove_network() -> None:
    for name in (SWITCH, *MACHINES):
        subprocess.run(['ip', 'netns', 'del', name], stderr=subprocess.DEVNULL)


def received(machine: str) -> int:
    """Bytes that came in over the machine's cable."""
    command = ['ip', '-n', machine, '-s', '-j', 'link', 'show', 'eth0']
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)[0]['stats64']['rx']['bytes']


def start(machine: str, command: list[str], **options: Any) -> subprocess.Popen:
    """A command on one of the machines. Shared memory of its own: Fast DDS would else take the short way."""
    alone = ['unshare', '--mount', '--ipc', 'sh', '-c', 'mount -t tmpfs shm /dev/shm && exec "$@"', 'sh']
    environment = os.environ | {
        'ROS_DOMAIN_ID': '42',
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'SUBNET',
        'PYTHONPATH': f'{ROOT}{os.pathsep}{os.environ.get("PYTHONPATH", "")}',
    }
    return subprocess.Popen(['ip', 'netns', 'exec', machine, *alone, *command], env=environment, **options)


def run(options: argparse.Namespace, folder: Path) -> None:
    rate = ['--frame-rate', str(options.frame_rate)]
    streams = [f'/{robot}/avatar' for robot in ROBOTS]
    log = open(folder / 'log.txt', 'w')
    server = start('lsp_server', [*LSP, 'serve', *streams, *rate], stdout=log, stderr=log)
    listener = start('lsp_desk', [sys.executable, '-c', LISTEN], stdout=subprocess.PIPE, stderr=log, text=True)
    robots = [
        start(
            f'lsp_{robot}',
            [
                *LSP,
                'up',
                '--no-renderer',
                '--namespace',
                f'/{robot}/avatar',
                *rate,
                '--loop',
                '--file',
                str(ROOT / 'samples' / 'speech.ogg'),
                '--no-window',
                '--no-sound',
                '--duration',
                str(options.seconds),
                '--report',
                str(folder / f'{robot}.json'),
            ],
            stdout=log,
            stderr=log,
        )
        for robot in ROBOTS
    ]
    try:
        began, before = time.monotonic(), {machine: received(machine) for machine in MACHINES}
        for robot in robots:
            robot.wait(timeout=options.seconds + 120)
        seconds = time.monotonic() - began
        traffic = {machine: (received(machine) - before[machine]) / seconds for machine in MACHINES}
    finally:
        for process in (listener, *robots, server):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in (*robots, server):
            process.wait()
    for robot in ROBOTS:
        report = json.loads((folder / f'{robot}.json').read_text())
        images, latency = report['images'], report['latency_ms']['stamp_to_image']
        print(
            f'{robot}: {images["received"]} pictures in {images["seconds"]:.1f} s, {images["rate"]} a second, '
            f'{images["dropped"]} dropped; stamp to image median {latency["median"]} ms, p95 {latency["p95"]} ms; '
            f'in {traffic[f"lsp_{robot}"] / 1e6:.2f} MB/s'
        )
    print(f'server: in {traffic["lsp_server"] / 1e6:.2f} MB/s; the last that it said while both robots spoke:')
    told = [dict(item.split('=') for item in line.split(';')) for line in listener.stdout.read().splitlines()]
    rates = [f'{robot}/avatar: images per second' for robot in ROBOTS]
    busy = [values for values in told if all(float(values.get(rate, 0)) > 0 for rate in rates)]
    for key, value in (busy or told or [{}])[-1].items():
        print(f'    {key}: {value}')


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seconds', type=int, default=20)
    parser.add_argument('--frame-rate', type=int, choices=(30, 60), default=30)
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error('only root may make network namespaces')
    remove_network()
    try:
        build_network()
        with tempfile.TemporaryDirectory() as folder:
            try:
                run(options, Path(folder))
            except (OSError, subprocess.SubprocessError):
                print((Path(folder) / 'log.txt').read_text(), file=sys.stderr)
                raise
    finally:
        remove_network()
    return 0


if __name__ == '__main__':
    raise SystemExit(main())
