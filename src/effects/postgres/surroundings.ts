/** Where this process runs, as far as it decides which names lead somewhere: in a container names of its Docker networks resolve. */
import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { isPrivateAddress } from '../http/addresses.ts';

export type Surroundings = {
  container(): Promise<Container>;
  /** Addresses of a name; none where it does not resolve in time. */
  lookup(host: string): Promise<string[]>;
};

export type Container = { inside: boolean; because: string };

/** Texts of files that a container runtime makes or mounts; undefined where there is none. */
export type ContainerFacts = {
  dockerenv: string | undefined;
  containerenv: string | undefined;
  cgroup: string | undefined;
  mountinfo: string | undefined;
};

/** Fields: id, parent, device, root within the source, mount point, …; a runtime binds its own hosts file from the container's folder. */
const fromContainersFolder =
  /^\d+ \d+ \S+ \S*\/(?:overlay-)?containers\/[0-9a-f]{12,64}\/(?:userdata\/)?(?:hosts|hostname|resolv\.conf) \/etc\//m;

/** Pure. With control groups of version 2 the first process of a container sees `0::/`, so that its mounts have to tell. */
export function containerOf({ dockerenv, containerenv, cgroup, mountinfo }: ContainerFacts): Container {
  if (dockerenv !== undefined) return { inside: true, because: 'Docker made /.dockerenv here' };
  if (containerenv !== undefined) return { inside: true, because: 'Podman made /run/.containerenv here' };
  if (/(docker|containerd|libpod|crio)[/-][0-9a-f]{12,64}|[/:]kubepods[/.]/.test(cgroup ?? ''))
    return { inside: true, because: 'the control group of this process is a container’s' };
  if (fromContainersFolder.test(mountinfo ?? '')) return { inside: true, because: 'its /etc/hosts is mounted from a container’s folder' };
  return { inside: false, because: 'nothing here is a container’s' };
}

/** A name of a Docker network leads to an address of its own; one that a search domain led elsewhere is none. Pure. */
export function isOfNetwork(addresses: readonly string[]): boolean {
  return addresses.length > 0 && addresses.every(isPrivateAddress);
}

const lookupMs = 2_000;

export const ownSurroundings: Surroundings = {
  async container() {
    const read = (path: string) => readFile(path, 'utf8').catch(() => undefined);
    const [dockerenv, containerenv, cgroup, mountinfo] = await Promise.all([
      read('/.dockerenv'),
      read('/run/.containerenv'),
      read('/proc/self/cgroup'),
      read('/proc/self/mountinfo'),
    ]);
    return containerOf({ dockerenv, containerenv, cgroup, mountinfo });
  },
  async lookup(host) {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<string[]>((resolve) => {
      timer = setTimeout(resolve, lookupMs, []);
    });
    const found = lookup(host, { all: true }).then(
      (rows) => rows.map(({ address }) => address),
      () => [],
    );
    return Promise.race([found, late]).finally(() => clearTimeout(timer));
  },
};
