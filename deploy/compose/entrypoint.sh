#!/bin/sh
# Settings that hold a password come as files, so that neither `docker inspect` nor a list of processes shows them:
# NAME_FILE names the file whose content becomes NAME.
set -eu
for name in $(env | sed -n 's/^\([A-Z][A-Z_]*\)_FILE=.*/\1/p'); do
    eval "file=\${${name}_FILE}"
    if [ ! -r "$file" ]; then
        echo "${name}_FILE: $file cannot be read" >&2
        exit 2
    fi
    content=$(cat "$file")
    export "$name=$content"
    unset "${name}_FILE"
done
exec "$@"
