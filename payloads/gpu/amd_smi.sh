# Asks the AMD driver. Needs a shell, and the ROCm tools, which are part of the image: amd-smi, or the older rocm-smi.
. common.sh
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
