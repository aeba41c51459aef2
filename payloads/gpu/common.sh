# What the programs that ask a driver share: a line ". common.sh" is replaced by this.
# Each part begins with its name and ends with the exit code, behind the nonce: the text between is the tool's own.
part() {
  name=$1
  shift
  echo "${nonce} begin $name"
  $limit "$@" 2>&1
  code=$?
  [ $code != 124 ] || echo "gave up after 60 s"
  echo "${nonce} end $name $code"
}
limit=
if command -v timeout >/dev/null; then limit="timeout 60"; fi
