#!/bin/sh
# Start Redis on the file that is named, on the port of REDIS_PORT, with the users of btcts:
#
#     start-redis redis.conf
#     start-redis redis-cli ARGUMENT...     redis-cli with the password of the default user
#
# The password is that of REDISCLI_AUTH, or of the file REDIS_PASSWORD_FILE; that of the user reader, which is the same
# one where it is not set, of REDIS_READER_PASSWORD, or of the file REDIS_READER_PASSWORD_FILE.
#
# Redis gets them hashed and by standard input: an argument would show in the process list, and a file would stay. The
# entrypoint of the image adds the modules, but only to a command that is redis-server itself.
set -eu

newline='
'
return=$(printf '\r')
mark=$(printf '\357\273\277')

refuse() {
    echo "$1" >&2
    exit 2
}

# Set `secret` to the value, or to what the file has without its line end; $1 is the name that messages use.
read_secret() {
    next="set another one in .env"
    secret=$2
    if [ -n "$3" ]; then
        [ -z "$2" ] || refuse "$1 and $1_FILE are both set in .env; keep one of them"
        next="write another one into the file of $1_FILE"
        secret=$(cat "$3" 2>&1) ||
            refuse "$1_FILE cannot be read (${secret#cat: }); chmod a+r it, in a folder that is yours alone"
        secret=${secret#"$mark"}
        secret=${secret%"$return"}
    fi
    case $secret in
    *"$newline"* | *"$return"*) refuse "$1 has a line break, which a password cannot have; $next" ;;
    *[![:space:]]*) ;;
    *) refuse "$1 is blank; $next" ;;
    esac
}

hash_secret() {
    printf %s "$secret" | sha256sum | cut -d ' ' -f 1
}

read_secret REDIS_PASSWORD "${REDISCLI_AUTH-}" "${REDIS_PASSWORD_FILE-}"
if [ "$1" = redis-cli ]; then
    export REDISCLI_AUTH="$secret"
    exec "$@"
fi
hash=$(hash_secret)
if [ -n "${REDIS_READER_PASSWORD-}${REDIS_READER_PASSWORD_FILE-}" ]; then
    [ -z "${REDIS_READER_PASSWORD_FILE-}" ] || [ -n "${REDIS_PASSWORD_FILE-}" ] ||
        refuse "REDIS_READER_PASSWORD_FILE needs a REDIS_PASSWORD_FILE; give both as files, or both in .env"
    read_secret REDIS_READER_PASSWORD "${REDIS_READER_PASSWORD-}" "${REDIS_READER_PASSWORD_FILE-}"
fi
reader_hash=$(hash_secret)

# The users of docs/operations.md, and `default`, who is whoever gives the password alone. Nobody administers this Redis
# over the network. Fewer rights than to all data would cost `default` data: until redis/redis#14545 the transactions in
# the append-only file were replayed by its rights, and left out where these do not suffice.
reads="+ts.get +ts.range +hgetall +time +multi +exec +hello +auth +select +client|setname +client|setinfo"
reads="$reads +ts.info +hget +exists +memory|usage +info +config|get"
writes="+ts.create +ts.alter +ts.createrule +ts.deleterule +ts.madd +ts.del +hset +hdel +hlen +del +renamenx +scan"
writes="$writes +watch +unwatch +discard +eval +evalsha"
exec docker-entrypoint.sh redis-server - --include "$1" --port "$REDIS_PORT" <<END
user default on #$hash ~* &* +@all -@admin +config|get
user btcts on #$hash ~btc:price:* $reads $writes
user reader on #$reader_hash ~btc:price:* $reads +ts.revrange
END
