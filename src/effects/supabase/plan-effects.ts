/** Building the plan artifact (A1): two previews tell what Dokploy makes up; nothing is written outside. */
import { z } from 'zod';
import { planChange as contract } from '../../../machines/effects/supabase.ts';
import { AppError } from '../../errors.ts';
import type { TemplatePreview } from '../dokploy/schemas.ts';
import { type DokployDeps, openDokploy } from '../dokploy/session.ts';
import { defineHandler } from '../handler.ts';
import type { PlanDocument } from './plan-document.ts';
import type { Finding } from './plan-setup.ts';

const templateArtifact = z.strictObject({ toml: z.string(), compose: z.string() });

export function createPlanHandlers(deps: DokployDeps) {
  return {
    'supabase.planChange@1': defineHandler(contract, {
      async run(ctx, input) {
        const [{ readComposeFacts, realtimeHostOf }, { patchCompose }, { generatedVariables, planEnvironment }, { hashKept, storePlan }] =
          await Promise.all([
            import('./compose-facts.ts'),
            import('./compose-patch.ts'),
            import('./plan-setup.ts'),
            import('./plan-document.ts'),
          ]);
        const template = templateArtifact.parse(JSON.parse(await ctx.artifacts.read(input.template.artifact)));
        const client = await openDokploy(deps, ctx, input.dokploy);
        const appName = `${input.name}-supabase`;
        const [first, second] = [await client.previewTemplate(template, appName), await client.previewTemplate(template, appName)];
        const kong = first.template.mounts.find((mount) => /(^|\/)kong\.ya?ml$/.test(mount.filePath));
        const patch = patchCompose(template.compose, {
          realtimeHost: kong ? realtimeHostOf(kong.content) : null,
          maxConnections: input.maxConnections,
        });
        const facts = readComposeFacts(patch.text);
        const gateway = gatewayOf(
          first,
          facts.services.map((service) => service.name),
        );
        const https = input.domain.certificate !== 'none';
        const environment = planEnvironment(
          { lines: first.template.envs, generated: generatedVariables(first.template.envs, second.template.envs), host: gateway.host },
          { ...input.domain, https, smtp: input.smtp, poolerTenantId: input.poolerTenantId, references: input.references },
        );
        const reference = (name: string) => requireReference(input.references, name);
        const document: PlanDocument = {
          version: 1,
          dokploy: input.dokploy,
          serverId: input.serverId,
          name: input.name,
          appName,
          templateSha256: input.template.sha256,
          template: { toml: template.toml, compose: patch.text },
          composeHash: hashKept(patch.text),
          env: environment.lines,
          mounts: first.template.mounts.map((mount) => mount.filePath),
          importedDomains: Math.min(1, first.template.domains.length),
          services: facts.services,
          domain: {
            host: input.domain.host,
            https,
            certificateType: input.domain.certificate,
            port: 8000,
            path: '/',
            serviceName: gateway.service,
          },
          url: environment.url,
          keys: { anon: reference('ANON_KEY'), serviceRole: reference('SERVICE_ROLE_KEY') },
          slots: ['projectId', 'environmentId', 'composeId', 'appName', 'domainId', 'deploymentId'],
          writes: writesOf(input.name, input.domain.host, https),
        };
        // What will be imported is the patched text: it must expand as well as the original did.
        await client.previewTemplate(document.template, appName);
        return {
          ...(await storePlan(ctx, document)),
          summary: environment.summary,
          patches: patch.patched,
          findings: [
            ...environment.findings,
            ...patch.warnings.map(({ code, say }): Finding => ({ code, severity: 'warning', at: 'docker-compose.yml', say })),
            ...changingMounts(first, second),
          ],
          services: facts.services.map((service) => service.name),
          postgres: facts.postgres,
          url: environment.url,
        };
      },
    }),
  };
}

/** The service that the domain leads to, and the host that Dokploy made up for it. */
function gatewayOf(preview: TemplatePreview, services: readonly string[]): { service: string; host: string | null } {
  const route = preview.template.domains.find((domain) => domain.port === 8000) ?? preview.template.domains[0];
  const service = services.includes('kong') ? 'kong' : (route?.serviceName ?? '');
  if (services.includes(service)) return { service, host: route?.host ?? null };
  throw new AppError('TEMPLATE_NO_GATEWAY', {
    message: 'The template has no gateway that this workflow knows: neither a service kong nor a domain that names another.',
    fix: 'Check the template address of this Dokploy; nothing was created.',
  });
}

/** A file that differs between two previews carries values that Dokploy makes up at the import; ours cannot be put in there. */
function changingMounts(first: TemplatePreview, second: TemplatePreview): Finding[] {
  const later = new Map(second.template.mounts.map((mount) => [mount.filePath, mount.content]));
  return first.template.mounts
    .filter((mount) => later.get(mount.filePath) !== mount.content)
    .map((mount) => ({
      code: 'FILE_MADE_BY_DOKPLOY',
      severity: 'warning',
      at: mount.filePath,
      say: `The file ${mount.filePath} carries values that Dokploy makes up; they may differ from the environment.`,
    }));
}

function requireReference(references: Readonly<Record<string, string>>, name: string): string {
  const reference = references[name];
  if (reference !== undefined) return reference;
  throw new TypeError(`The plan was asked for without a reference for ${name}.`);
}

function writesOf(name: string, host: string, https: boolean): string[] {
  return [
    `create the project ${name}`,
    `create the compose service supabase in it`,
    'import the template with its patches: compose text, files, one domain row',
    'write the environment',
    `route ${https ? 'https' : 'http'}://${host} to the gateway, port 8000`,
    'deploy',
  ];
}
