"""Examples of every command: its help shows them, and docs/cli.md."""

from functools import cache
from typing import Final

__all__ = ["LINES", "examples_of"]

LINES: Final = """\
up
up --listen nas.local --listen-port 8883
demo
doctor
doctor clock
status
status --profile sleep.example.org
login https://sleep.example.org --user ann@home
login https://sleep.example.org --app robot@home --profile robot
profile list
profile use local
profile remove sleep.example.org
device list home
device list --state silent
device show home/bedroom
device add home/bedroom --time-zone Europe/Berlin
device rotate home/bedroom
device revoke home/bedroom
device config home/bedroom
device config home/bedroom led=false report_s=60 --wait 30
device logs home/bedroom --level warning --follow
device reboot home/bedroom
device identify home/bedroom --seconds 60
device resend home/bedroom --missing
device claim home/bedroom --line /dev/ttyUSB0 --wifi MyNetwork
device provision home/bedroom --out bedroom.bin --wifi MyNetwork
watch home/bedroom
alert list home --open
alert ack home 511
alert rules home
alert set home silent --threshold 900 --raise-after 3
alert set home drift --off
firmware add noctis-0.2.0.bin
firmware sign 0.2.0 --days 90
firmware list
firmware rollout 0.2.0 --tenant home --wave 5 --wait 3600
firmware rollouts
firmware rollouts 3
firmware pause 3
firmware resume 3
firmware abort 3
firmware key new
firmware key list
ca init
ca show
ca server nas.local 192.168.1.20
ca issue home/bedroom --request bedroom.csr
ca list home
ca revoke home/bedroom
night list home/bedroom --since 2026-03-01
night show home/bedroom
night show home/bedroom --date 2026-03-01
night compare home/bedroom 2026-03-01 2026-03-08
night trend home/bedroom --weeks 12
night report home/bedroom
night report home/bedroom --date 2026-03-01 --output night.png
night report home/bedroom --week 2026-W10
night export home --output nights.csv
labels import bedroom.csv --device home/bedroom --source psg
labels list home
labels remove --device home/bedroom --source diary
tenant add home
tenant list
tenant show home
tenant retention home 400
tenant set-quota home --devices 20 --requests-per-second 50
user list home
user add ann@home --role admin
user remove ann@home
user set-password ann@home --ask
user set-role ann@home viewer
app add phone@home
app add robot@home --role viewer
app list home
app rotate phone@home
app set-role robot@home member
app remove phone@home
model list
model show champion
model upload nights/
model train --data nights/
model evaluate --data nights/
model explain --device home/bedroom --at 2026-03-02T01:30:00
model compare stager@2 champion --data nights/
model promote stager@2 --approver 'Ada Lovelace' --data nights/
model rollback --approver 'Ada Lovelace' --reason 'too much deep sleep'
model drift --tenant home
replay start --version stager@2 --tenant home --since 2026-02-01 --until 2026-03-01
replay list
replay show 7
replay cancel 7
replay resume 7
experiment start --name spring --kind canary --version stager@2 --share 0.1
experiment list
experiment show spring
experiment stop spring
export home --output home.csv
export home/bedroom --format parquet --stages --output bedroom.parquet
epochs missing home/bedroom
epochs loss home
letter list home
letter show home 1f0c9a52
erase home/bedroom
erase home --wait
erasure
erasure 4
operation list home
operation show home 3f0f3a0a-9a5e-4d6c-8e0c-2b8f6f1c7a10
operation follow home 3f0f3a0a-9a5e-4d6c-8e0c-2b8f6f1c7a10
operation cancel home 3f0f3a0a-9a5e-4d6c-8e0c-2b8f6f1c7a10
operation resume home 3f0f3a0a-9a5e-4d6c-8e0c-2b8f6f1c7a10
service set svc-ingestor-0
service list
service remove svc-ingestor-3
key list
key rotate
key token --read
cluster drop-session svc-ingestor-3
cluster rabbitmq-definitions passwords.txt
migrate
backup noctis-backup.tar
restore noctis-backup.tar --var new-var
audit list --tenant home
audit verify --anchor elsewhere/noctis.head
audit report --period week
faults show
faults points
faults order inference.publish=error --service inference --for 5m
faults withdraw
storage show
storage set --compress-after 14d
"""
"""One a line, without the program's name."""


@cache
def examples_of(path: str) -> tuple[str, ...]:
    """Return the examples of a command such as ``device add``, as they are typed."""
    words = path.split()
    return tuple(
        f"noctis {line}" for line in LINES.splitlines() if line.split()[: len(words)] == words
    )
