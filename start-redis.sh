#!/bin/sh
# Start Redis on the file that is named, with the password of REDISCLI_AUTH and on the port of REDIS_PORT.
#
# The password reaches Redis by standard input: an argument would show in the process list, and a file would stay. In
# double quotes redis.conf takes every character but a line break. The entrypoint of the image adds the modules, but
# only to a command that is redis-server itself.
set -eu

refuse() {
    echo "REDIS_PASSWORD $1; set another one in .env" >&2
    exit 2
}

newline='
'
return=$(printf '\r')
case $REDISCLI_AUTH in
*"$newline"* | *"$return"*) refuse "has a line break, which a password cannot have" ;;
*[![:space:]]*) ;;
*) refuse "is blank" ;;
esac

escaped=$(printf %s "$REDISCLI_AUTH" | sed 's/["\\]/\\&/g')
exec docker-entrypoint.sh redis-server - --include "$1" --port "$REDIS_PORT" <<EOF
requirepass "$escaped"
EOF
