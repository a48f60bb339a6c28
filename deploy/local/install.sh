#!/bin/sh
# Installs what Liaison needs on a Debian machine; does nothing, quickly, when it is all there.
#
#   deploy/local/install.sh run                  everything for `make run`
#   deploy/local/install.sh dev [elasticsearch]  everything for tests, on request with Elasticsearch
#   deploy/local/install.sh packages NAME...     these Debian packages only; for root
set -eu
umask 022

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
parts=${LIAISON_PARTS:-$root/.liaison/parts}
elasticsearch=8.19.21
elasticsearch_sha512=cf6b0a93860d329937ae7f913ec5073b0c726c77639764b93fc83a304aa1dd9d4defcfa2849948eea3b0b47c2065f994908603939fc2a4774c9c4d868c5ec1dd
units='rabbitmq-server.service epmd.service epmd.socket postgresql.service prometheus.service prometheus-alertmanager.service
    dovecot.service dovecot.socket'

say() { printf '==> %s\n' "$*"; }
fail() { printf 'install.sh: %s\n' "$*" >&2; exit 1; }

# --- Debian packages --------------------------------------------------------------------------------------------

# A Python that is new enough and can make environments; the system's own first, since every account can reach it.
find_python() {
    for candidate in /usr/bin/python3 python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

java_is_new() {
    command -v java >/dev/null && command -v javac >/dev/null || return 1
    major=$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
    [ "${major:-0}" -ge 17 ]
}

has_compose() { command -v docker-compose >/dev/null || docker compose version >/dev/null 2>&1; }

missing_packages() {
    [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] && [ -x /usr/bin/epmd ] || echo rabbitmq-server
    ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || echo postgresql
    [ -x /usr/bin/prometheus ] && [ -x /usr/bin/promtool ] || echo prometheus
    [ -x /usr/bin/prometheus-alertmanager ] || echo prometheus-alertmanager
    command -v make >/dev/null || echo make
    # Development checks the compose file with the tool itself; it needs no daemon for that.
    [ "$mode" != dev ] || has_compose || echo docker-compose
    # The mailbox of the tests; `make run` needs none.
    [ "$mode" != dev ] || [ -x /usr/lib/dovecot/imap ] || echo dovecot-imapd
    [ -x "$root/.venv/bin/python" ] || find_python >/dev/null || echo python3 python3-venv
    if [ "$with_elasticsearch" = yes ]; then
        if [ -d "$parts/elasticsearch-$elasticsearch" ]; then
            command -v java >/dev/null || echo default-jdk-headless
        else
            java_is_new || echo default-jdk-headless
            command -v mvn >/dev/null || echo maven
        fi
    fi
}

ensure_packages() {
    missing=$(missing_packages | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null || fail "this machine has no apt-get; install by other means: $missing"
    # shellcheck disable=SC2086  # a list of names
    if [ "$(id -u)" = 0 ]; then
        install_packages $missing
    elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
        sudo -n sh "$root/deploy/local/install.sh" packages $missing
    else
        printf '%s\n' "Debian packages are missing, and only root may install them. Run this, then try again:" "" \
            "    sudo sh '$root/deploy/local/install.sh' packages $missing" "" >&2
        exit 1
    fi
    missing=$(missing_packages | tr '\n' ' ')
    [ -z "$missing" ] || fail "still missing after the installation (too old a Debian?): $missing"
}

# Packages start their services when they are installed. Ours run privately, so nothing of the kind may begin:
# this file of Debian's forbids it to package scripts, for as long as we run, and leaves running services alone.
policy=/usr/sbin/policy-rc.d
policy_mark='# Made by install.sh of Liaison.'

forbid_service_starts() {
    [ ! -e "$policy" ] || grep -qF "$policy_mark" "$policy" || return 0
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    printf '#!/bin/sh\n%s\nkill -0 %s 2>/dev/null && exit 101\nexit 0\n' "$policy_mark" "$$" >"$policy.new"
    chmod 755 "$policy.new"
    mv "$policy.new" "$policy"
}

unit_exists() { [ -e "/lib/systemd/system/$1" ] || [ -e "/usr/lib/systemd/system/$1" ]; }

# In a shell of its own, so that what it traps ends with it.
install_packages() (
    [ "$(id -u)" = 0 ] || fail "packages can be installed by root only"
    say "installing Debian packages: $*"
    known=''
    for unit in $units; do
        ! unit_exists "$unit" || known="$known $unit"
    done
    forbid_service_starts
    apt-get update -qq || say "the package lists could not be refreshed; trying with those that are here"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" </dev/null
    command -v systemctl >/dev/null || exit 0
    for unit in $units; do
        # What has just come must not start with the machine either.
        case " $known " in *" $unit "*) continue ;; esac
        ! unit_exists "$unit" || systemctl disable --quiet "$unit" 2>/dev/null || true
    done
)

# --- Python environment -----------------------------------------------------------------------------------------

ensure_environment() {
    stamp=$root/.venv/.liaison-installed
    kind=$1
    # An environment for tests also serves for running, and stays one.
    if [ -f "$stamp" ] && grep -q '^dev ' "$stamp"; then kind=dev; fi
    wanted="$kind $(cd "$root" && cat "requirements/$kind.lock" pyproject.toml | sha256sum | cut -d' ' -f1)"
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && [ -x "$root/.venv/bin/python" ]; then return; fi
    # It breaks when the Python that it was made of is upgraded or removed.
    if ! "$root/.venv/bin/python" -c 'import pip' 2>/dev/null; then
        python=$(find_python) || fail "no Python 3.11 or newer with venv on this machine"
        say "making .venv with $python"
        "$python" -m venv --clear "$root/.venv"
    fi
    say "installing Python packages ($kind)"
    rm -f "$stamp"
    pip install --require-hashes -r "$root/requirements/$kind.lock"
    pip install --no-build-isolation --no-deps -e "$root"
    printf '%s\n' "$wanted" >"$stamp"
}

pip() { "$root/.venv/bin/python" -m pip --quiet --disable-pip-version-check --no-input "$@"; }

# --- Elasticsearch ----------------------------------------------------------------------------------------------

ensure_elasticsearch() (
    folder=$parts/elasticsearch-$elasticsearch
    [ ! -d "$folder" ] || exit 0
    artifact=org.elasticsearch.distribution.integ-test-zip:elasticsearch:$elasticsearch:zip
    mkdir -p "$parts"
    draft=$(mktemp -d "$parts/elasticsearch.XXXXXX")
    trap 'rm -rf "$draft"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    say "fetching Elasticsearch $elasticsearch through Maven (107 MB)"
    # Away from any pom.xml, which Maven would otherwise read.
    (cd "$draft" && mvn -B -q -C dependency:get -Dtransitive=false "-Dartifact=$artifact")
    (cd "$draft" && mvn -B -q -o dependency:copy "-Dartifact=$artifact" "-DoutputDirectory=$draft")
    zip=$draft/elasticsearch-$elasticsearch.zip
    printf '%s  %s\n' "$elasticsearch_sha512" "$zip" | sha512sum --quiet -c - || fail "$zip is not what was expected"
    say "unpacking Elasticsearch"
    "$root/.venv/bin/python" -m zipfile -e "$zip" "$draft"
    chmod +x "$draft/elasticsearch-$elasticsearch"/bin/*
    mv "$draft/elasticsearch-$elasticsearch" "$folder"
)

# --- Which of it ------------------------------------------------------------------------------------------------

mode=${1:-}
case $mode in
    run) with_elasticsearch=yes ;;
    dev) if [ "${2:-}" = elasticsearch ]; then with_elasticsearch=yes; else with_elasticsearch=no; fi ;;
    packages) shift; install_packages "$@"; exit 0 ;;
    *) fail "usage: deploy/local/install.sh run | dev [elasticsearch] | packages NAME..." ;;
esac
mkdir -p "$root/.liaison"
# Two commands at the same time must not install into the same places.
exec 9>"$root/.liaison/install.lock"
flock 9
ensure_packages 9>&-
ensure_environment "$mode"
if [ "$with_elasticsearch" = yes ]; then ensure_elasticsearch; fi
