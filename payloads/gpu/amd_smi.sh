# Asks the AMD driver. Needs a shell, and the ROCm tools, which are part of the image: amd-smi, or the older rocm-smi.
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
part device sh -c 'if [ ! -e /dev/kfd ]; then echo absent; elif [ -r /dev/kfd ] && [ -w /dev/kfd ]; then echo open; else echo denied; fi'
if command -v amd-smi >/dev/null; then
  part version amd-smi version
  part list amd-smi list --json
  part static amd-smi static --json
fi
if command -v rocm-smi >/dev/null; then
  part rocm rocm-smi --showproductname --showdriverversion --showmeminfo vram --json
fi
part release cat /opt/rocm/.info/version
