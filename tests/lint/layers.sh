#!/bin/bash
# Includes go down only: host - snapshot - memory, vmm, guest - base.
set -u
cd "$(dirname "$0")/../.." || exit 1

below() {
    case $1 in
    base) echo base ;;
    memory | vmm | guest) echo "$1|base" ;;
    snapshot) echo 'snapshot|memory|vmm|guest|base' ;;
    *) echo "$1|host|snapshot|memory|vmm|guest|base" ;;
    esac
}

status=0
for folder in lib/*/; do
    layer=$(basename "$folder")
    if grep -rnE '^# *include "[a-z_]+/' "$folder" | grep -vE "include \"($(below "$layer"))/"; then
        echo "error: $layer may include only $(below "$layer")"
        status=1
    fi
done
exit $status
