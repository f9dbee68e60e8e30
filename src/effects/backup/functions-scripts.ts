/**
 * What runs inside the container of the edge functions: constant bash of this package, its values as arguments. Invariants:
 * 1. A command holds letters, digits and `+/=|-_` alone: no shell in between has anything to expand.
 * 2. Every answer is one line behind the mark of its call, since the log repeats the command too; its base64 ends without `=`, which
 *    would look like a secret's assignment to whoever redacts logs.
 * 3. Only regular files count. Names go through as bytes between zeros; what Capstan makes there begins with `.capstan-` and is no function.
 */

/** As in the images of Supabase; a folder of the server that Studio writes into too. */
const head = `set -u
mark=$1; shift
say() { printf '%s:%s\\n' "$mark" "$1"; }
packed() { gzip -nc | base64 -w0 | tr -d =; }
cd /home/deno/functions 2>/dev/null || { say absent; exit 0; }
found() { find . -name '.capstan-*' -prune -o -type f -printf "$1"; }
names() { found '%P\\0' | LC_ALL=C sort -z; }
`;

/** Arguments: most files, most bytes. Beyond them only the totals are told. */
const list = `${head}count=0; bytes=0
while read -r size; do count=$((count + 1)); bytes=$((bytes + size)); done < <(found '%s\\n')
others=$(find . -name '.capstan-*' -prune -o ! -type f ! -type d -print0 | tr -dc '\\0' | wc -c)
say "total:$count:$bytes:$others"
[ "$count" -le "$1" ] && [ "$bytes" -le "$2" ] || exit 0
say "files:$(found '%s %m %P\\0' | packed)"
say "sums:$(names | xargs -0 -r sha256sum -z -- | packed)"
`;

/** Arguments: where a piece begins in the tar of all files, and how long it is. The tar is the same as long as nobody writes there. */
const read = `${head}whole() {
  names | tar --create --null --verbatim-files-from --files-from=- --no-recursion --format=gnu --owner=0 --group=0 --numeric-owner --file=-
}
say "piece:$(whole | wc -c):$(whole | sha256sum | cut -c1-64):$(whole | tail -c +$(($1 + 1)) | head -c "$2" | packed)"
`;

/** Arguments: id, number and base64 of one piece of a gzip'd tar. */
const bring = `${head}umask 077; aside=/tmp/capstan-$1; mkdir -p "$aside"
printf %s "$3" | base64 -d > "$aside/$(printf %06d "$2")"
say "piece:$(sha256sum < "$aside/$(printf %06d "$2")" | cut -c1-64)"
`;

/** Arguments: id, hash of all pieces together. Each file is put in place by its name, whole. */
const place = `${head}aside=/tmp/capstan-$1; fresh=.capstan-$1
[ "$(cat "$aside"/* | sha256sum | cut -c1-64)" = "$2" ] || { say differs; exit 0; }
rm -rf "$fresh"; mkdir "$fresh"
cat "$aside"/* | tar --extract --gzip --no-same-owner --directory="$fresh" --file=- || { say unpacked; exit 0; }
cd "$fresh" || exit 0
find . -type d -exec mkdir -p ../{} \\;
find . -type f -exec sh -c 'mv -f "$0" "../$0" 2>/dev/null || cat "$0" > "../$0"' {} \\;
cd ..; rm -rf "$fresh" "$aside"
say placed
`;

/** Arguments: base64 of the gzip'd names to remove; folders that are empty then go with them. */
const drop = `${head}printf %s "$1" | base64 -d | gzip -dc | while IFS= read -r -d '' name; do
  rm -f -- "$name"; rmdir -p --ignore-fail-on-non-empty -- "$(dirname -- "$name")" 2>/dev/null
done
say dropped
`;

/** What pieces of ended processes may have left. */
const sweep = `${head}rm -rf /tmp/capstan-* ./.capstan-*
say swept
`;

const scripts = { list, read, bring, place, drop, sweep };
export type ScriptName = keyof typeof scripts;

/** The command of one call. Throws a TypeError for an argument that a shell could read. */
export function functionsCommand(name: ScriptName, mark: string, ...args: readonly (string | number)[]): string {
  const words = [mark, ...args].map(String);
  for (const word of words) if (!/^[A-Za-z0-9+/=_-]+$/.test(word)) throw new TypeError('an argument of a script is letters and digits');
  return `echo ${Buffer.from(scripts[name]).toString('base64')} | base64 -d | bash -s -- ${words.join(' ')}`;
}
