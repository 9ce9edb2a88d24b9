# Sourced by scripts/demo and scripts/test: makes .venv with what they need, once.
#
#   . scripts/setup.sh; make_venv run     # captoolkit, what it needs to run, `hear` and `fast`
#   . scripts/setup.sh; make_venv dev     # and what its tests need
#   . scripts/setup.sh; make_venv docs    # and what its documentation is built with
#
# What is installed is pinned by constraints.txt; it is installed again only after pyproject.toml
# or constraints.txt have changed.

find_python() {
    for name in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "error: Python 3.11 or later was not found; install it, or name it in PYTHON" >&2
    return 1
}

make_venv() {
    level=$1
    stamp=.venv/.captoolkit-$level
    if [ -e "$stamp" ] && [ "$(fingerprint)" = "$(cat "$stamp")" ]; then
        return
    fi
    echo "Setting up .venv ($level); this takes a minute the first time." >&2
    if [ ! -x .venv/bin/python ]; then
        python=$(find_python) || return 1
        "$python" -m venv .venv || {
            echo "error: .venv cannot be made; on Debian: apt install python3-venv" >&2
            return 1
        }
    fi
    pip="env PIP_DISABLE_PIP_VERSION_CHECK=1 .venv/bin/python -m pip --quiet install"
    $pip --upgrade 'pip>=25.1' || return 1
    if [ "$level" = run ]; then
        # These extras have no wheels for every machine; captoolkit runs without them.
        if ! $pip --constraint constraints.txt --editable '.[fast,hear]' 2>/dev/null; then
            $pip --constraint constraints.txt --editable . || return 1
            for extra in fast hear; do
                $pip --constraint constraints.txt --editable ".[$extra]" 2>/dev/null || true
            done
        fi
    else
        $pip --constraint constraints.txt --editable . --group "$level" || return 1
    fi
    fingerprint > "$stamp"
}

fingerprint() {
    .venv/bin/python - <<'EOF'
import hashlib, pathlib, sys
files = ("pyproject.toml", "constraints.txt", "scripts/setup.sh")
parts = [pathlib.Path(name).read_bytes() for name in files] + [sys.version.encode()]
print(hashlib.sha256(b"\0".join(parts)).hexdigest())
EOF
}
