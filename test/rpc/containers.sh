#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Has a container runtime checkpoint and restore containers by the criu in PATH: NAME DIR COMMAND..., in a mount namespace of
# its own. DIR has rootfs with /bin/init. Says what was seen, a line for each thing.
set -u
name=$1 dir=$2
shift 2
cd "$dir" || exit 2
if [ "$name" = runc ]; then
	# It looks into it after its chroot(2).
	mount --bind /proc rootfs/proc
else
	# It refuses hosts that have both versions of cgroups.
	umount -l /sys/fs/cgroup
	mount -t cgroup2 none /sys/fs/cgroup
fi

runtime() {
	"$@" </dev/null >>runtime.log 2>&1
}
bundle() { # NAMESPACES
	cat >config.json <<-END
		{"ociVersion": "1.0.2", "process": {"terminal": false, "user": {"uid": 0, "gid": 0}, "args": ["/bin/init"], "env": ["PATH=/bin"],
		"cwd": "/"}, "root": {"path": "rootfs", "readonly": false}, "mounts": [], "annotations": {"org.criu.config": "$dir/criu.conf"},
		"linux": {"namespaces": [$1], "cgroupsPath": "/$id"}}
	END
}
status() {
	"$@" state "$id" 2>>runtime.log | tr -d ' \n' | grep -o '"status":"[a-z]*"'
}
root_pid() {
	"$@" state "$id" 2>>runtime.log | tr -d ' \n' | sed -n 's/.*"pid":\([0-9]*\).*/\1/p'
}
start() { # COMMAND...
	runtime "$@" run -d -b "$dir" "$id" && return
	echo "cannot run: $(tail -n 1 runtime.log)"
	exit 0
}
checkpoint() { # COMMAND...
	mkdir -p images
	if runtime "$@" --image-path "$dir/images" --work-path "$dir/images" "$id"; then
		echo "checkpoint: done"
	else
		echo "checkpoint: $(sed -n 's/.*Error ([^)]*): \(.*\) \[\([A-Z_]*\)\]$/\2 \1/p' images/dump.log | tail -n 1 | sed 's/; remedy: .*//' | cut -c1-120)"
	fi
}

: >criu.conf
id=criu-test-$name-$$
bundle ''
start "$@"
checkpoint "$@" checkpoint
status "$@"
pid=$(root_pid "$@")
echo manage-cgroups=ignore >criu.conf
case $name in
crun) mode=--manage-cgroups-mode=ignore ;;
*) mode= ;;
esac
checkpoint "$@" checkpoint $mode
# Until its last parent has taken note of its end.
while [ -e "/proc/$pid" ] && [ -z "$(status "$@")" ]; do sleep 0.02; done
runtime "$@" restore -d --image-path "$dir/images" --work-path "$dir/images" -b "$dir" "$id" || tail -n 1 runtime.log
echo "same pid: $([ "$(root_pid "$@")" = "$pid" ] && echo yes)"
status "$@"
runtime "$@" delete -f "$id"
# Where the runtime has lost it.
case $(readlink "/proc/$pid/exe") in "$dir"/*) kill -9 "$pid" ;; esac

id=$id-mount
bundle '{"type": "mount"}'
start "$@"
checkpoint "$@" checkpoint $mode
status "$@"
runtime "$@" delete -f "$id"
