/**
 * The two changes that the wizard makes to the template's compose text. Invariants:
 * 1. Comments stay; nothing but the patched place changes its meaning (proven by comparing both documents' values).
 * 2. A shape that is not understood gives a warning, never a silent no.
 */
import { type Document, isMap, isScalar, isSeq, parseDocument, type YAMLMap, type YAMLSeq } from 'yaml';
import { AppError } from '../../errors.ts';

export type ComposePatch = { text: string; patched: string[]; warnings: { code: string; say: string }[] };

export type PatchWishes = {
  /** Host under which the gateway reaches Realtime, read from kong.yml; null when unknown. */
  realtimeHost: string | null;
  maxConnections: number;
};

/** Applies both changes. Throws TEMPLATE_COMPOSE_INVALID when the text is no compose file. */
export function patchCompose(text: string, wishes: PatchWishes): ComposePatch {
  const document = parseDocument(text);
  const services = document.get('services');
  if (document.errors.length > 0 || !isMap(services)) throw invalidCompose(document.errors[0]?.message);
  const patch: ComposePatch = { text, patched: [], warnings: [] };
  const changed = [patchRealtime(document, wishes.realtimeHost, patch), patchMaxConnections(document, wishes.maxConnections, patch)];
  if (changed.includes(true)) patch.text = document.toString({ lineWidth: 0, flowCollectionPadding: false });
  return patch;
}

/**
 * Realtime takes the first label of the request's host as tenant. The template's gateway calls it `realtime`, while the seeded
 * tenant is `realtime-dev` unless SELF_HOST_TENANT_NAME says otherwise: websockets then fail although the container is healthy.
 */
function patchRealtime(document: Document, host: string | null, patch: ComposePatch): boolean {
  if (!document.hasIn(['services', 'realtime'])) return false;
  if (host === null) {
    patch.warnings.push({
      code: 'REALTIME_HOST_UNKNOWN',
      say: 'The gateway file names no Realtime host, so its tenant could not be checked; websockets may fail.',
    });
    return false;
  }
  const tenant = host.split('.')[0] ?? host;
  if (tenant === 'realtime-dev') return false;
  const environment = document.getIn(['services', 'realtime', 'environment']);
  const known = readEnvironment(environment);
  if (known === undefined) {
    patch.warnings.push({
      code: 'REALTIME_ENVIRONMENT_SHAPE',
      say: 'The environment of the service realtime has an unknown form, so SELF_HOST_TENANT_NAME was not set; websockets may fail.',
    });
    return false;
  }
  const present = known.get('SELF_HOST_TENANT_NAME');
  if (present === tenant) return false;
  if (present !== undefined) {
    patch.warnings.push({
      code: 'REALTIME_TENANT_DIFFERS',
      say: 'SELF_HOST_TENANT_NAME is set to another name than the one the gateway uses; it was left as it is and websockets may fail.',
    });
    return false;
  }
  if (isSeq(environment)) environment.add(document.createNode(`SELF_HOST_TENANT_NAME=${tenant}`));
  else if (isMap(environment)) environment.set('SELF_HOST_TENANT_NAME', tenant);
  patch.patched.push(`realtime.environment.SELF_HOST_TENANT_NAME=${tenant}`);
  renameInHealthcheck(document, tenant, patch);
  return true;
}

/** The health check asks for the seeded tenant by name: left as it is, it would call a renamed one unhealthy. */
function renameInHealthcheck(document: Document, tenant: string, patch: ComposePatch): void {
  const test = document.getIn(['services', 'realtime', 'healthcheck', 'test'], true);
  const nodes = isSeq(test) ? test.items : [test];
  for (const node of nodes) {
    if (!isScalar(node) || typeof node.value !== 'string' || !node.value.includes('/tenants/realtime-dev/')) continue;
    node.value = node.value.replaceAll('/tenants/realtime-dev/', `/tenants/${tenant}/`);
    patch.patched.push(`realtime.healthcheck asks for the tenant ${tenant}`);
  }
}

function patchMaxConnections(document: Document, wanted: number, patch: ComposePatch): boolean {
  const setting = `max_connections=${wanted}`;
  const command = document.getIn(['services', 'db', 'command'], true);
  const changed = isSeq(command)
    ? setInList(document, command, setting)
    : isScalar(command) && typeof command.value === 'string'
      ? setInText(command, command.value, setting)
      : undefined;
  if (changed === undefined) {
    patch.warnings.push({
      code: 'DB_COMMAND_SHAPE',
      say: 'The command of the service db has an unknown form, so max_connections stays at the image’s own value.',
    });
    return false;
  }
  if (changed) patch.patched.push(`db.command ${setting}`);
  return changed;
}

function setInList(document: Document, list: YAMLSeq, setting: string): boolean {
  const values = list.items.map((item) => (isScalar(item) ? item.value : item));
  const at = values.findIndex((value) => typeof value === 'string' && /^(-c)?max_connections=/.test(value));
  if (at < 0) {
    for (const part of ['-c', setting]) {
      const node = document.createNode(part);
      const first = list.items[0];
      if (isScalar(first) && isScalar(node) && first.type !== undefined) node.type = first.type;
      list.add(node);
    }
    return true;
  }
  const found = values[at];
  const wanted = typeof found === 'string' && found.startsWith('-c') ? `-c${setting}` : setting;
  if (found === wanted) return false;
  list.set(at, wanted);
  return true;
}

function setInText(node: { value: unknown }, command: string, setting: string): boolean {
  const known = /max_connections=\d+/;
  const next = known.test(command) ? command.replace(known, setting) : `${command.trimEnd()} -c ${setting}`;
  if (next === command) return false;
  node.value = next;
  return true;
}

/** Map or list form as a map; undefined for anything else, such as an alias. */
function readEnvironment(environment: unknown): Map<string, string> | undefined {
  if (isMap(environment)) return readMap(environment);
  if (!isSeq(environment)) return undefined;
  const out = new Map<string, string>();
  for (const item of environment.items) {
    if (!isScalar(item) || typeof item.value !== 'string') return undefined;
    const [name = '', ...rest] = item.value.split('=');
    out.set(name, rest.join('='));
  }
  return out;
}

function readMap(map: YAMLMap): Map<string, string> | undefined {
  const out = new Map<string, string>();
  for (const { key, value } of map.items) {
    if (!isScalar(key)) return undefined;
    out.set(String(key.value), isScalar(value) ? String(value.value) : '');
  }
  return out;
}

function invalidCompose(reason: string | undefined): AppError {
  return new AppError('TEMPLATE_COMPOSE_INVALID', {
    message: 'The docker-compose.yml of the template is not a compose file that can be read.',
    fix: 'Check the template address of this Dokploy; nothing was created.',
    details: { reason: reason?.slice(0, 200) ?? 'it has no services' },
  });
}
