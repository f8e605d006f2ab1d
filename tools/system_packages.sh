#!/bin/sh
# Usage: sh tools/system_packages.sh [PYTHON]; without a Python of ours to run, that is installed as well.
# What pip cannot install comes from Debian or Ubuntu: installed where we are root, else the command is named.
set -eu
python=${1-}

missing=
need() { missing="$missing $1"; }
library() { PATH="$PATH:/sbin:/usr/sbin" ldconfig -p | grep -q "$1"; }
if [ -z "$python" ]; then
    need python3
    need python3-venv
    need python3-dev
else
    version=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
    "$python" -c 'import ensurepip, venv' 2>/dev/null || need "$version-venv"
    "$python" -c 'import os, sysconfig; os.stat(os.path.join(sysconfig.get_path("include"), "Python.h"))' 2>/dev/null ||
        need "$version-dev"
fi
command -v c++ >/dev/null || need g++  # compiles the messages
library libportaudio.so.2 || need libportaudio2  # microphone and loudspeaker

[ -z "$missing" ] && exit 0
install="apt-get update && apt-get install --yes --no-install-recommends$missing"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "lsp_ros: $install"
    DEBIAN_FRONTEND=noninteractive sh -c "$install"
else
    echo "lsp_ros needs$missing from the system. On Debian or Ubuntu:" >&2
    echo "    sudo sh -c '$install'" >&2
    exit 1
fi
