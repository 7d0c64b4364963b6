#!/usr/bin/env bash
# A client of the counter in the shell: NATS's text protocol over bash's own sockets, and nothing else.
#
#   NATS_URL=nats://127.0.0.1:4222 bash count.sh CLIENT COUNTER TIMES [RUN]
#
# Adds 1 to COUNTER, TIMES times, one request after another, and prints each reply as it came. However often the primary, a server
# or nats-server dies meanwhile, nothing is counted twice and nothing is left out. RUN (ms since 1970; default: now) names the ids:
# whoever starts the program again with the same RUN gets the same bytes for what was done before, and the rest is done.
#
# NATS_URL may log in: nats://USER:PASSWORD@HOST:PORT or nats://TOKEN@HOST:PORT. Exit status: 0 all done; 1 a request was refused or
# failed; 2 its outcome is unknown, start again with the same RUN.
#
# It does not do: TLS, nkeys and credentials files, more than one nats-server, several requests in flight at once (for that,
# `after`), replies in pieces, IPv6 addresses. Its replies are read by the form in which a service writes them, without a parser of JSON.
set -u
export LC_ALL=C # lengths are bytes
trap '' PIPE

service=counter
deadline_ms=60000                            # for one request, with all its copies
answer_ms=500                                # without an answer for so long, the request is sent again
first_pause_ms=20 longest_pause_ms=1000      # after "nobody listens", BUSY and the like
between_ms=10                                # from one request to the next
rest_s=2                                     # for the rest of a message that has begun

(($# == 3 || $# == 4)) || { echo "usage: count.sh CLIENT COUNTER TIMES [RUN]" >&2; exit 1; }
client=$1 counter=$2 times=$3

now() { now_ms=$((${EPOCHREALTIME/./} / 1000)); }
say() { echo "count.sh: $*" >&2; }
pause() { local s; printf -v s '%d.%03d' $(($1 / 1000)) $(($1 % 1000)); sleep "$s"; }
decoded() { local text=${1//\\/\\\\}; printf '%b' "${text//%/\\x}"; } # %3A of a URL
json() { local text=${1//\\/\\\\}; printf '"%s"' "${text//\"/\\\"}"; }

# A name or key as one token of a subject: what is no letter, digit, - or _ becomes = and two hex digits.
token() {
  local text=$1 out='' at char code
  for ((at = 0; at < ${#text}; at += 1)); do
    char=${text:at:1}
    [[ $char == [A-Za-z0-9_-] ]] || { printf -v code %d "'$char"; printf -v char '=%02X' $((code & 255)); }
    out+=$char
  done
  printf %s "${out:-=}"
}

address=${NATS_URL:-nats://127.0.0.1:4222}
address=${address#nats://}
host=${address##*@} user=${address%@*} login=''
case $address in
  *:*@*) login=",\"user\":$(json "$(decoded "${user%%:*}")"),\"pass\":$(json "$(decoded "${user#*:}")")" ;;
  *@*) login=",\"auth_token\":$(json "$(decoded "$user")")" ;;
esac
port=4222
[[ $host == *:* ]] && port=${host##*:}
host=${host%%:*} port=${port%%/*}
# A broker with permissions lets a client listen to its own inboxes alone.
inbox=_INBOX.client.$(token "$client").$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
nats='' epoch=0

connected() {
  [[ -n $nats ]] && return 0
  { exec {nats}<>"/dev/tcp/$host/$port"; } 2>/dev/null || { nats=''; return 1; }
  # Without `headers` and `no_responders` nobody would say that no server listens.
  send "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true$login}"$'\r\n' \
    "SUB $inbox.*.* 1"$'\r\n' "SUB $service.signal 2"$'\r\n'
}

drop() { [[ -z $nats ]] || exec {nats}>&-; nats=''; }
send() { printf %s "$@" 2>/dev/null >&"$nats" || { drop; return 1; }; }

# The next message: $subject, $status (503: nobody listens), $data. 1: nothing came until $1; 2: the connection is gone.
next_message() {
  local line words left wait size head result
  while :; do
    now
    left=$(($1 - now_ms))
    ((left > 0)) || return 1
    printf -v wait '%d.%03d' $((left / 1000)) $((left % 1000))
    IFS= read -r -t "$wait" -u "$nats" line
    result=$?
    ((result > 128)) && [[ -z $line ]] && return 1
    ((result == 0)) || { drop; return 2; }
    line=${line%$'\r'}
    case $line in
      MSG\ * | HMSG\ *)
        read -ra words <<<"$line"
        size=${words[-1]} head=0 subject=${words[1]} status=''
        [[ $line == HMSG* ]] && head=${words[-2]}
        IFS= read -r -N $((size + 2)) -t "$rest_s" -u "$nats" data || { drop; return 2; }
        [[ ${data:0:head} =~ ^NATS/1\.0\ ([0-9]+) ]] && status=${BASH_REMATCH[1]}
        data=${data:head:size-head}
        return 0
        ;;
      PING) send "PONG"$'\r\n' || return 2 ;;
      -ERR*[Vv]iolation*) say "nats-server says ${line#-ERR }"; exit 1 ;; # waiting does not help
    esac
  done
}

text='"([^"\\]|\\.)*"'
form="^\{\"client\":$text,\"id\":$text,\"ok\":(true|false)"
code_of='"error":\{"code":"([A-Z_]+)"'

# One request, until there is an answer, which it prints.
request() {
  local id=$1 stamp=$2 subject_of data_of resend='' copy=0 pause_ms=$first_pause_ms until until_answer reply code
  local -A maybe_executed=()
  subject_of=$service.request.$(token "$counter").$(token "$client")
  number=$((number + 1))
  now
  until=$((now_ms + deadline_ms))
  while now; ((now_ms < until)); do
    copy=$((copy + 1))
    reply=$inbox.$number.$copy
    data_of="{\"client\":$(json "$client"),\"id\":\"$id\",\"body\":{\"counter\":$(json "$counter"),\"add\":1},\"issuedAt\":$stamp$resend}"
    resend=',"resend":true'
    connected || { pause_longer; continue; }
    maybe_executed[$reply]=1
    send "PUB $subject_of $reply ${#data_of}"$'\r\n'"$data_of"$'\r\n' || { pause_longer; continue; }
    now
    until_answer=$((now_ms + answer_ms))
    while :; do
      next_message "$until_answer" || {
        (($? == 1)) || pause_longer # the connection is gone
        break
      }
      if [[ $subject == "$service.signal" ]]; then
        # Another server is ready: what was sent to the one before may be lost.
        [[ $data =~ \"epoch\":([0-9]+) ]] && ((BASH_REMATCH[1] > epoch)) && epoch=${BASH_REMATCH[1]} && break
      elif [[ $subject == "$inbox.$number."* ]]; then
        code=''
        if [[ $status == 503 ]]; then
          code=NOBODY
        elif [[ $data =~ $form && ${BASH_REMATCH[3]} == true ]]; then
          echo "$data"
          return
        elif [[ $data =~ $code_of ]]; then
          code=${BASH_REMATCH[1]}
        fi
        case $code in
          APPLICATION_ERROR | POISONED) echo "$data"; exit 1 ;; # executed, and failed: asking again says the same
          REPLY_OMITTED) say "$id: done, but the reply is larger than nats-server takes"; exit 2 ;;
        esac
        unset "maybe_executed[$subject]"
        case $code in
          NOBODY | BUSY | NOT_HOT | OUT_OF_ORDER)
            [[ $subject == "$reply" ]] || continue
            pause_longer
            break
            ;;
        esac
        say "$id: $data"
        # Said of every copy alike, but where it is for the stamp.
        [[ $code == INVALID_REQUEST || $code == TOO_LARGE ]] && [[ $data != *'"stamps":{'* ]] && exit 1
        ((${#maybe_executed[@]} == 0)) && exit 1
        say "$id: an earlier copy may have been executed"
        exit 2
      fi
    done
  done
  say "$id: not answered in $deadline_ms ms"
  ((${#maybe_executed[@]} == 0)) && exit 1
  exit 2
}

pause_longer() {
  pause "$pause_ms"
  pause_ms=$((2 * pause_ms < longest_pause_ms ? 2 * pause_ms : longest_pause_ms))
}

now
run=${4:-$now_ms}
number=0
say "run $run"
# The stamp is the same however often the program is started again, and rises with each request.
for ((at = 1; at <= times; at += 1)); do
  request "$run-$at" $((run + at))
  pause "$between_ms"
done
