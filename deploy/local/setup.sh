#!/bin/bash
# Installs what the local run needs, and nothing that stays running. Safe to repeat; quick when nothing is to be done.
set -euo pipefail
cd "$(dirname "$0")/../.."

PACKAGES=(python3 rabbitmq-server slapd slapd-contrib ldap-utils postgresql iproute2 python3-venv)
PROGRAMS=(/usr/lib/rabbitmq/bin/rabbitmq-server /usr/sbin/slapd /usr/bin/ldapwhoami /usr/bin/ss)
FILES=()
if [ "${RUNTIME:-local}" = docker ]; then
    # The servers come as images; the demo and the tests still ask the directory with OpenLDAP's own programs.
    PACKAGES=(python3 ldap-utils iproute2 python3-venv)
    PROGRAMS=(/usr/bin/ldapwhoami /usr/bin/ss)
fi
if [ "${1:-}" = tests ]; then
    # the pages are tested in a browser
    PACKAGES+=(chromium)
    PROGRAMS+=(/usr/bin/chromium)
    # sign-in is tested against a certified provider from npm; a Node.js from elsewhere brings its own npm
    if ! command -v npm >/dev/null; then PACKAGES+=(nodejs npm) PROGRAMS+=(/usr/bin/npm); fi
fi
# Active Directory; STAFETT_AD=0 does without.
if [ "${STAFETT_AD:-1}" != 0 ] && [ "${RUNTIME:-local}" = local ]; then
    PACKAGES+=(samba-ad-dc samba-ad-provision samba-dsdb-modules samba-vfs-modules winbind)
    PROGRAMS+=(/usr/sbin/samba /usr/bin/samba-tool)
    FILES+=(/usr/share/samba/setup/provision.ldif)
fi
POLICY=/usr/sbin/policy-rc.d
CLUSTERS=/etc/postgresql-common/createcluster.conf
# Prometheus is for those who ask for it (OBS=1), and for CI, where promtool and amtool judge rules and examples.
if [ "${OBS:-0}${RUNTIME:-local}" = 1local ] || [ "${CI:-}" = true ]; then
    PACKAGES+=(prometheus)
    PROGRAMS+=(/usr/bin/prometheus /usr/bin/promtool)
fi
if [ "${CI:-}" = true ]; then
    PACKAGES+=(prometheus-alertmanager)
    PROGRAMS+=(/usr/bin/amtool)
fi
# By this line we know our own files again, should a kill have left them behind.
MARKER='# Made by the set-up of Stafett, which removes it again.'
export UV_CACHE_DIR=$PWD/.tools/cache

python_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null && python_new_enough "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    echo "Stafett needs Python 3.11 or newer; found: $(python3 --version 2>&1 || true)." >&2
    echo "Debian 12 and Ubuntu 24.04 have it: apt-get install python3 python3-venv" >&2
    return 1
}

packages_missing() {
    local program file
    for program in "${PROGRAMS[@]}"; do [ -x "$program" ] || return 0; done
    for file in "${FILES[@]}"; do [ -e "$file" ] || return 0; done
    [ "${RUNTIME:-local}" = docker ] || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || return 0
    [ -x .tools/bin/uv ] && return 1
    # uv comes into a venv of its own, which needs Debian's python3-venv.
    ! "$(find_python 2>/dev/null || echo false)" -c 'import ensurepip' 2>/dev/null
}

remove_our_files() {
    local file
    [ "$(id -u)" -eq 0 ] || return 0
    for file in "$POLICY" "$CLUSTERS"; do
        if [ -f "$file" ] && grep -qxF "$MARKER" "$file"; then rm -f "$file"; fi
    done
}

install_packages() {
    local missing="DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ${PACKAGES[*]}"
    if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        echo "These Debian packages are needed, and only root may install them. Run:" >&2
        echo "  sudo apt-get update && sudo $missing" >&2
        echo "then stop what that has started:" >&2
        echo "  sudo systemctl disable --now rabbitmq-server slapd postgresql prometheus samba-ad-dc smbd nmbd winbind" >&2
        return 1
    fi
    # Packages start their services when they are configured; 101 forbids it (invoke-rc.d(8)).
    trap remove_our_files EXIT
    if [ ! -e "$POLICY" ]; then
        printf '#!/bin/sh\n%s\nexit 101\n' "$MARKER" >"$POLICY"
        chmod 755 "$POLICY"
    fi
    # Nor may PostgreSQL's package make a cluster of its own.
    if [ ! -e "$CLUSTERS" ]; then
        mkdir -p "$(dirname "$CLUSTERS")"
        printf '%s\ncreate_main_cluster = false\n' "$MARKER" >"$CLUSTERS"
    fi
    local before
    before=$(enabled_services)
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    apt-get install -y -q --no-install-recommends -o Dpkg::Options::=--force-confold "${PACKAGES[@]}"
    disable_new_services "$before"
}

enabled_services() {
    command -v systemctl >/dev/null || return 0
    systemctl list-unit-files --state=enabled --no-legend 2>/dev/null | awk '{print $1}' || true
}

disable_new_services() {
    command -v systemctl >/dev/null || return 0
    local unit
    for unit in rabbitmq-server.service slapd.service postgresql.service epmd.service epmd.socket \
        prometheus.service prometheus-alertmanager.service \
        samba-ad-dc.service smbd.service nmbd.service winbind.service; do
        if ! grep -qx "$unit" <<<"$1"; then systemctl disable "$unit" >/dev/null 2>&1 || true; fi
    done
}

install_python_packages() {
    local python stamp=.venv/.synced sum
    # The folder belongs to it: what .venv holds names it, so a clone that was moved is set up anew.
    sum=$(echo "$PWD" | cat - requirements.lock deploy/local/setup.sh | sha256sum)
    if [ -x .venv/bin/stafett ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$sum" ]; then return; fi
    python=$(find_python)
    if [ -f "$stamp" ] && ! grep -qsF "$PWD/" .venv/bin/stafett; then rm -rf .venv; fi
    if [ ! -x .tools/bin/uv ]; then
        "$python" -m venv .tools
        .tools/bin/python -m pip install --quiet --disable-pip-version-check uv
    fi
    [ -x .venv/bin/python ] || .tools/bin/uv venv --quiet --python "$python" --no-python-downloads .venv
    .tools/bin/uv pip sync --quiet --python .venv/bin/python requirements.lock
    write_command
    echo "$sum" >"$stamp"
}

# The project itself is not installed: its folder on the path is enough, and needs no build tools.
write_command() {
    .venv/bin/python - <<'PYTHON'
import sysconfig
from pathlib import Path

Path(sysconfig.get_path("purelib"), "stafett.pth").write_text(f"{Path.cwd()}\n")
command = Path(".venv/bin/stafett")
interpreter = Path(".venv/bin/python").absolute()
command.write_text(
    f'#!/bin/sh\nexec "{interpreter}" -c "from services.cli.__main__ import main; main()" "$@"\n'
)
command.chmod(0o755)
PYTHON
}

remove_our_files
if command -v python3 >/dev/null; then find_python >/dev/null; fi
if packages_missing; then install_packages; fi
find_python >/dev/null
install_python_packages
.venv/bin/python -m deploy.texts
echo "Set up."
