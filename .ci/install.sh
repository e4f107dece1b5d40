#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# install.sh PACKAGE...: installs the Debian packages that are missing, saying which; does nothing when none is.
set -eu

if ! command -v dpkg-query > /dev/null 2>&1; then
    echo "Not a Debian system. Please make sure that what these Debian packages hold is installed: $*"
    exit 0
fi

missing=
for package in "$@"; do
    status=$(dpkg-query -W -f '${Status}' "$package" 2> /dev/null) || status=
    case $status in
        'install ok installed') ;;
        *) missing="$missing $package" ;;
    esac
done
if [ -z "$missing" ]; then
    echo "Debian packages: everything needed is installed."
    exit 0
fi
echo "Debian packages to install:$missing"

if [ "$(id -u)" -eq 0 ]; then
    as_root=
elif command -v sudo > /dev/null 2>&1; then
    as_root=sudo
else
    echo "This needs root and there is no sudo. Please run as root, then start again:" >&2
    echo "    apt-get update && apt-get install$missing" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
# Both unquoted on purpose: an empty prefix and a list of names.
$as_root apt-get -q update || echo "apt-get update failed; trying with the package lists at hand." >&2
if ! $as_root apt-get -q install -y --no-install-recommends $missing; then
    echo "These packages could not be installed:$missing" >&2
    echo "Is the network reachable, and does /etc/apt/sources.list name a Debian mirror?" >&2
    exit 1
fi
