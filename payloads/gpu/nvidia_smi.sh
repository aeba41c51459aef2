# Asks the NVIDIA driver. Needs a shell; the tool is what the container toolkit puts into a container with a GPU.
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
part query nvidia-smi --query-gpu=index,name,uuid,driver_version,memory.total,ecc.errors.uncorrected.volatile.total,mig.mode.current --format=csv,noheader,nounits
part banner nvidia-smi
