/** Which Docker network the database of a compose service is in, read from the text as Dokploy deploys it. Pure. */
import { parse } from 'yaml';
import { z } from 'zod';
import { AppError } from '../../errors.ts';

const names = z.union([z.array(z.string()), z.record(z.string(), z.unknown())]).nullish();
const file = z.looseObject({
  services: z.record(z.string(), z.looseObject({ networks: names, network_mode: z.string().optional() })),
  networks: z.record(z.string(), z.looseObject({ name: z.string().optional(), external: z.boolean().optional() }).nullish()).nullish(),
});

/** Throws BRIDGE_NETWORK_UNKNOWN. */
export function networkOf(composeText: string, appName: string, service = 'db'): string {
  const parsed = file.safeParse(parseYaml(composeText));
  const row = parsed.data?.services[service];
  if (row === undefined || row.network_mode !== undefined)
    throw new AppError('BRIDGE_NETWORK_UNKNOWN', {
      message: `The compose file of the target does not say in which network the service ${service} is.`,
      fix: 'A bridge needs a service named db in a network of Docker; reach this database another way (targets add --connection).',
    });
  const [first = 'default'] = Array.isArray(row.networks) ? row.networks : Object.keys(row.networks ?? {});
  const network = parsed.data?.networks?.[first];
  if (network?.name !== undefined) return network.name;
  return network?.external === true ? first : `${appName}_${first}`;
}

function parseYaml(text: string): unknown {
  try {
    return parse(text);
  } catch {
    return undefined;
  }
}
