import { defineCommand } from 'citty';

/** The tree of commands; each is loaded when it is asked for. */
export const root = defineCommand({
  meta: { name: 'capstan', description: 'Supabase on Dokploy, as durable workflows' },
  subCommands: {
    serve: () => import('./commands/serve.ts').then(({ serve }) => serve),
    demo: () => import('./commands/demo.ts').then(({ demo }) => demo),
    sandbox: () => import('./commands/sandbox.ts').then(({ sandbox }) => sandbox),
    run: () => import('./commands/run.ts').then(({ run }) => run),
    workflows: () => import('./commands/workflows.ts').then(({ workflows }) => workflows),
    runs: () => import('./commands/runs.ts').then(({ runs }) => runs),
    hold: () => import('./commands/hold.ts').then(({ hold }) => hold),
    release: () => import('./commands/hold.ts').then(({ release }) => release),
    approve: () => import('./commands/approve.ts').then(({ approve }) => approve),
    approver: () => import('./commands/approver.ts').then(({ approver }) => approver),
    rules: () => import('./commands/rules.ts').then(({ rules }) => rules),
    connect: () => import('./commands/connect.ts').then(({ connect }) => connect),
    dokploy: () => import('./commands/dokploy.ts').then(({ dokploy }) => dokploy),
    targets: () => import('./commands/targets.ts').then(({ targets }) => targets),
    connection: () => import('./commands/connection.ts').then(({ connection }) => connection),
    secrets: () => import('./commands/secrets.ts').then(({ secrets }) => secrets),
    token: () => import('./commands/token.ts').then(({ token }) => token),
    worker: () => import('./commands/worker.ts').then(({ worker }) => worker),
    status: () => import('./commands/status.ts').then(({ status }) => status),
    audit: () => import('./commands/audit.ts').then(({ audit }) => audit),
    prune: () => import('./commands/prune.ts').then(({ prune }) => prune),
    upgrade: () => import('./commands/upgrade.ts').then(({ upgrade }) => upgrade),
    paths: () => import('./commands/paths.ts').then(({ paths }) => paths),
    doctor: () => import('./commands/doctor.ts').then(({ doctor }) => doctor),
    logs: () => import('./commands/logs.ts').then(({ logs }) => logs),
    check: () => import('./commands/check.ts').then(({ check }) => check),
  },
});
