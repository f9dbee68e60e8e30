/** Doors that stand open beside the gateway's route, and names that keep a second instance from starting. */
import type { ServiceFacts } from '../facts.ts';
import { docs, type Finding, type Severity } from '../findings.ts';
import type { Look, Rule } from '../look.ts';

export const portRules: readonly Rule[] = [published, fixedNames];

/** Docker publishes past the firewall of the machine; what each door opens decides how bad that is. */
const doors: Readonly<Record<string, { severity: Severity; opens: string }>> = {
  db: { severity: 'critical', opens: 'the database itself' },
  meta: { severity: 'critical', opens: 'SQL as superuser without any key' },
  studio: { severity: 'critical', opens: 'Studio without its password' },
  supavisor: { severity: 'warning', opens: 'the database through the pooler, guarded by its password only' },
  kong: { severity: 'warning', opens: 'the gateway without encryption' },
  'api-gw': { severity: 'warning', opens: 'the gateway without encryption' },
};

function published({ compose }: Look): Finding[] {
  return (compose?.services ?? []).flatMap((service) => service.ports.filter(isOpen).map((port) => openDoor(service, port)));
}

function openDoor({ name }: ServiceFacts, port: string): Finding {
  const { severity, opens } = doors[name] ?? { severity: 'error' as const, opens: 'a service that only the gateway should reach' };
  return {
    code: 'PORT_PUBLISHED',
    severity,
    at: `service ${/^[\w.-]{1,63}$/.test(name) ? name : '(unreadable)'}`,
    say: `A port is published on every address of the machine, past its firewall: it opens ${opens}.`,
    current: port.replace(/[^\w${}:./-]/g, '?').slice(0, 60),
    expected: 'No published port, or one bound to 127.0.0.1',
    fix: 'Remove the port from the compose file, or write 127.0.0.1: before it, and deploy again.',
    docs: docs.compose,
  };
}

/** Bound to this machine alone, or not published at all (one number means a random port on every address). */
function isOpen(port: string): boolean {
  return !/^(127(\.\d{1,3}){3}|\[?::1\]?|localhost):/.test(port);
}

function fixedNames({ compose }: Look): Finding[] {
  const named = (compose?.services ?? []).filter(({ containerName }) => containerName !== null && !containerName.includes('$'));
  if (named.length === 0) return [];
  return [
    {
      code: 'CONTAINER_NAMES_FIXED',
      severity: 'warning',
      at: `services ${named.map(({ name }) => name.replace(/[^\w.-]/g, '?')).join(', ')}`.slice(0, 200),
      say: 'Containers have fixed names, so a second instance on this machine cannot start.',
      current: `${named.length} with container_name`,
      expected: 'No container_name',
      fix: 'Remove container_name from the compose file and deploy again.',
      docs: docs.compose,
    },
  ];
}
