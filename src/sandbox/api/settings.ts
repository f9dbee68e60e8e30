import { nothing, type Procedure, query } from '../procedure.ts';
import { organizationId } from '../rows.ts';

const userId = 'sandboxUser0000000000000000000000';
const createdAt = '2026-01-01T00:00:00.000Z';

const all = (...actions: string[]) => Object.fromEntries(actions.map((action) => [action, true]));
const crud = all('create', 'read', 'update', 'delete');

const permissions = {
  organization: all('update', 'delete'),
  member: all('read', 'create', 'update', 'delete'),
  invitation: all('create', 'cancel'),
  team: all('create', 'update', 'delete'),
  ac: crud,
  project: all('create', 'delete'),
  service: all('create', 'read', 'delete'),
  environment: all('create', 'read', 'delete'),
  docker: all('read'),
  sshKeys: all('read', 'create', 'delete'),
  gitProviders: all('read', 'create', 'delete'),
  traefikFiles: all('read', 'write'),
  api: all('read'),
  volume: all('read', 'create', 'delete'),
  deployment: all('read', 'create', 'cancel'),
  envVars: all('read', 'write'),
  projectEnvVars: all('read', 'write'),
  environmentEnvVars: all('read', 'write'),
  server: all('read', 'create', 'delete'),
  registry: all('read', 'create', 'delete'),
  certificate: crud,
  backup: { ...crud, restore: true },
  volumeBackup: { ...crud, restore: true },
  schedule: crud,
  domain: all('read', 'create', 'delete'),
  destination: all('read', 'create', 'delete'),
  notification: crud,
  tag: crud,
  logs: all('read'),
  monitoring: all('read'),
  auditLog: all('read'),
  vaultProvider: crud,
  dnsProvider: crud,
};

const member = {
  id: 'sandboxMember00000000',
  organizationId,
  userId,
  role: 'owner',
  createdAt,
  teamId: null,
  isDefault: true,
  canCreateProjects: false,
  canAccessToSSHKeys: false,
  canCreateServices: false,
  canDeleteProjects: false,
  canDeleteServices: false,
  canAccessToDocker: false,
  canAccessToAPI: false,
  canAccessToGitProviders: false,
  canAccessToTraefikFiles: false,
  canDeleteEnvironments: false,
  canCreateEnvironments: false,
  accessedProjects: [],
  accessedEnvironments: [],
  accessedServices: [],
  accessedGitProviders: [],
  accessedServers: [],
};

const user = {
  id: userId,
  firstName: 'Sandbox',
  lastName: 'Owner',
  email: 'owner@example.com',
  image: null,
  allowImpersonation: false,
  twoFactorEnabled: false,
  stripeCustomerId: null,
  stripeSubscriptionId: null,
  serversQuantity: 0,
  isEnterpriseCloud: false,
  sendInvoiceNotifications: false,
  apiKeys: [{ id: 'sandboxKey', name: 'sandbox', prefix: null, enabled: true, expiresAt: null, createdAt }],
};

const organization = {
  id: organizationId,
  name: 'Sandbox',
  slug: null,
  logo: null,
  createdAt,
  metadata: null,
  defaultRole: null,
  ownerId: userId,
};

const metricsConfig = {
  server: {
    port: 4500,
    type: 'Dokploy',
    token: '',
    cronJob: '',
    thresholds: { cpu: 0, memory: 0 },
    refreshRate: 60,
    urlCallback: '',
    retentionDays: 2,
  },
  containers: { services: { exclude: [], include: [] }, refreshRate: 60 },
};

const whitelabelingConfig = Object.fromEntries(
  [
    ...['appName', 'docsUrl', 'logoUrl', 'customCss', 'metaTitle', 'faviconUrl'],
    ...['footerText', 'supportUrl', 'loginLogoUrl', 'appDescription', 'errorPageTitle', 'errorPageDescription'],
  ].map((name) => [name, null]),
);

const webServerSettings = (serverIp: string) => ({
  id: '00000000-0000-4000-8000-000000000000',
  serverIp,
  certificateType: 'letsencrypt',
  https: false,
  host: null,
  letsEncryptEmail: 'owner@example.com',
  sshPrivateKey: null,
  enableDockerCleanup: true,
  logCleanupCron: '0 0 * * *',
  metricsConfig,
  whitelabelingConfig,
  remoteServersOnly: false,
  buildsConcurrency: 1,
  enforceSSO: false,
  cleanupCacheApplications: false,
  cleanupCacheOnPreviews: false,
  cleanupCacheOnCompose: false,
  createdAt,
  updatedAt: createdAt,
});

const down = { status: 'unhealthy', message: 'connect ENOENT /var/run/docker.sock' };
const up = { status: 'healthy' };

/** Routers settings, server, user and organization: what a client reads before it does anything. */
export const settings: Record<string, Procedure> = {
  'settings.health': query(nothing, () => ({ status: 'ok' })),
  'settings.getDokployVersion': query(nothing, (_input, { world }) => world.version()),
  'settings.getReleaseTag': query(nothing, () => 'latest'),
  'settings.isCloud': query(nothing, () => false),
  'settings.getIp': query(nothing, (_input, { world }) => world.ip),
  'settings.getWebServerSettings': query(nothing, (_input, { world }) => webServerSettings(world.ip), '0.27.0'),
  'settings.checkInfrastructureHealth': query(
    nothing,
    (_input, { world }) => {
      const health = world.faults.active('no-docker') ? down : up;
      return { postgres: health, traefik: health };
    },
    '0.29.0',
  ),
  'server.all': query(nothing, () => []),
  'user.get': query(nothing, () => ({ ...member, user })),
  'user.session': query(nothing, () => ({ user: { id: userId }, session: { activeOrganizationId: organizationId } })),
  'user.getPermissions': query(nothing, () => permissions),
  'organization.active': query(nothing, () => organization),
  'organization.all': query(nothing, () => [{ ...organization, members: [member] }]),
};
