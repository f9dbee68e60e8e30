/** Reads before anything is created: connection and name. */
import * as contract from '../../../machines/effects/dokploy.ts';
import { suggestFreeName } from '../../../machines/effects/project-name.ts';
import type { Warning } from '../../../machines/effects/shapes.ts';
import { AppError } from '../../errors.ts';
import { defineHandler } from '../handler.ts';
import { missingPermissions } from './projects.ts';
import type { InfrastructureHealth, ServerRow, WebServerSettings } from './schemas.ts';
import { type DokployDeps, openDokploy } from './session.ts';

export function checkConnection(deps: DokployDeps) {
  return defineHandler(contract.checkConnection, {
    async run(ctx, { dokploy, serverId }) {
      const client = await openDokploy(deps, ctx, dokploy);
      await client.health();
      const version = await client.version();
      const settings = await client.webServerSettings();
      const projects = await client.projects();
      const servers = await client.servers();
      const permissions = await client.permissions();
      const infrastructure = await client.infrastructureHealth();
      const server = chooseServer(dokploy, serverId, servers, settings);
      const missing = permissions.state === 'known' ? missingPermissions(permissions.areas) : [];
      if (missing.length > 0) throw lackingPermissions(dokploy, missing);
      return {
        version: version.text,
        serverIp: server === null ? settings.serverIp : server.ipAddress,
        letsEncryptEmail: settings.letsEncryptEmail,
        projects: projects.length,
        servers: servers.length,
        warnings: [
          ...infrastructureWarnings(infrastructure),
          ...(await addressWarnings(ctx.dokploy(dokploy))),
          ...(permissions.state === 'unknown' ? [{ code: 'PERMISSIONS_UNKNOWN', say: permissions.say }] : []),
        ],
      };
    },
  });
}

/** The remote server that was asked for, or null for Dokploy's own machine. */
function chooseServer(
  dokploy: string,
  serverId: string | null,
  servers: readonly ServerRow[],
  settings: WebServerSettings,
): ServerRow | null {
  if (serverId === null) {
    if (settings.remoteServersOnly !== true) return null;
    throw new AppError('SERVER_REQUIRED', {
      message: `The Dokploy "${dokploy}" deploys on remote servers only.`,
      fix: 'Give the serverId of one of its servers.',
      details: { serverIds: servers.map((server) => server.serverId).slice(0, 50) },
    });
  }
  const found = servers.find((server) => server.serverId === serverId);
  if (found) return found;
  throw new AppError('SERVER_UNKNOWN', {
    message: `The Dokploy "${dokploy}" has no server with this serverId.`,
    fix: servers.length === 0 ? 'Leave serverId out: it has no remote servers.' : 'Give one of the serverIds in the details.',
    details: { serverIds: servers.map((server) => server.serverId).slice(0, 50) },
  });
}

function lackingPermissions(dokploy: string, missing: readonly string[]): AppError {
  return new AppError('DOKPLOY_PERMISSIONS', {
    message: `The key of the Dokploy "${dokploy}" lacks permissions that the deployment needs: ${missing.join(', ')}.`,
    fix: 'Use a key of an owner or admin of the organization.',
    details: { missing },
  });
}

function infrastructureWarnings(health: InfrastructureHealth): Warning[] {
  const bad = Object.entries({ postgres: health.postgres, traefik: health.traefik }).filter(([, part]) => part.status !== 'healthy');
  if (bad.length === 0) return [];
  return [
    {
      code: 'DOKPLOY_INFRASTRUCTURE',
      say: `Dokploy reports its own ${bad.map(([name]) => name).join(' and ')} as not healthy; a deployment may fail.`,
    },
  ];
}

async function addressWarnings(connection: Promise<{ url: string }>): Promise<Warning[]> {
  const { parseBaseUrl } = await import('../http/addresses.ts');
  return parseBaseUrl((await connection).url, { allowPath: true }).warnings;
}

export function checkName(deps: DokployDeps) {
  return defineHandler(contract.checkName, {
    async run(ctx, { dokploy, name }) {
      const client = await openDokploy(deps, ctx, dokploy);
      const projects = await client.projects();
      const composes = projects.flatMap((project) => project.environments.flatMap((environment) => environment.compose ?? []));
      const taken = new Set([...projects, ...composes].map((row) => row.name.toLowerCase()));
      if (!taken.has(name)) return { free: true as const };
      const suggestion = suggestFreeName(name, taken);
      throw new AppError('NAME_TAKEN', {
        message: `The Dokploy "${dokploy}" has a project or service named "${name}" already.`,
        fix: `Choose another name, such as "${suggestion}".`,
        details: { suggestion },
      });
    },
  });
}
