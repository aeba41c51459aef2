# Asks the NVIDIA driver. Needs a shell; the tool is what the container toolkit puts into a container with a GPU.
. common.sh
part query nvidia-smi --query-gpu=index,name,uuid,driver_version,memory.total,ecc.errors.uncorrected.volatile.total,mig.mode.current --format=csv,noheader,nounits
part banner nvidia-smi
