# Sourced by build_zipapp.sh and tests/run: sets `python` to a Python 3.11 or newer, or leaves.
python=""
for name in python3 python3.14 python3.13 python3.12 python3.11; do
    if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$name
        break
    fi
done
if [ -z "$python" ]; then
    echo "Python 3.11 or newer is needed, and no python3 on the PATH is that; on Debian: apt-get install -y python3" >&2
    exit 1
fi
