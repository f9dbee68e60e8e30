/** The five prompts (design §5): each is a job in plain words, with the tools that do it. Texts are ours; arguments stand in them quoted. */
import { completable, type McpServer } from '@modelcontextprotocol/server';
import { z } from 'zod';
import { printable } from './printable.ts';
import { completionsOf, type ResourceDeps } from './resources.ts';

const common =
  'Work with the tools of the server capstan. Do what `next` in each answer says. Where next.who is human, tell the person what next.say says and wait. Never ask for or send a secret itself.';

const said = (value: string | undefined, otherwise: string): string =>
  value === undefined || value === '' ? otherwise : JSON.stringify(printable(value).slice(0, 200));

export function registerPrompts(server: McpServer, deps: ResourceDeps): void {
  const complete = completionsOf(deps);
  const target = completable(z.string().max(120).describe('Name of the target'), complete.target);
  const message = (text: string) => ({
    messages: [{ role: 'user' as const, content: { type: 'text' as const, text: `${text}\n\n${common}` } }],
  });

  server.registerPrompt(
    'deploy',
    {
      title: 'Deploy Supabase',
      description: 'Set up a new Supabase on a Dokploy, step by step',
      argsSchema: z.object({
        dokploy: completable(z.string().max(120).describe('Name of the Dokploy'), complete.dokploy).optional(),
        host: z.string().max(253).optional().describe('Host name, such as supabase.example.com'),
      }),
    },
    ({ dokploy, host }) =>
      message(
        `Set up Supabase on the dokploy ${said(dokploy, 'that list_targets shows (ask if there are several)')} with the host ${said(host, 'that the person names')}: start_workflow setup-supabase, then one event at a time. Ask the person what you cannot know (name, mail server, host). Show them the plan before the approval, and at the end the address and what is left to do.`,
      ),
  );
  server.registerPrompt(
    'diagnose',
    { title: 'Diagnose an instance', description: 'Find out what is wrong with a Supabase instance', argsSchema: z.object({ target }) },
    ({ target: name }) =>
      message(
        `Find out what is wrong with the target ${said(name, '')}: diagnose_target, then read_logs for what the findings name. Report worst first, each with its fix, and say what was not looked at. Change nothing without the person's word.`,
      ),
  );
  server.registerPrompt(
    'upgrade',
    { title: 'Upgrade an instance', description: 'Bring an instance to newer versions with a way back', argsSchema: z.object({ target }) },
    ({ target: name }) =>
      message(
        `Upgrade the target ${said(name, '')}. First diagnose_target: do not go on while it finds anything critical. Look with list_workflows for the workflows that back up, update and check an instance; take a verified backup before anything is written, show the plan, and check with live requests afterwards. If no workflow here does it, say so; do not do it by other means.`,
      ),
  );
  server.registerPrompt(
    'restore',
    { title: 'Restore a backup', description: 'Bring an instance back from a backup', argsSchema: z.object({ target }) },
    ({ target: name }) =>
      message(
        `Restore the target ${said(name, '')} from a backup: look with list_workflows for the workflow that restores, let the person choose the backup and what is restored, show the preview and what will be overwritten, and prove the result at the end.`,
      ),
  );
  server.registerPrompt(
    'resume',
    {
      title: 'Go on with a run',
      description: 'Find out where a run stands and take it on',
      argsSchema: z.object({
        run: completable(z.string().max(120).describe('Id or name of the run'), complete.run).optional(),
        event: completable(z.string().max(120).describe('What to send next'), (typed, context) =>
          complete.event(typed, context?.arguments?.['run']),
        ).optional(),
      }),
    },
    ({ run, event }) =>
      message(
        run === undefined || run === ''
          ? 'Find the unfinished runs (list_runs), tell the person where each stands, and go on with the one they choose.'
          : `Look at the run ${said(run, '')} (inspect_run), say in two sentences where it stands, and go on with it${event === undefined || event === '' ? '' : `: the person wants the event ${said(event, '')}`}. If it needs attention, explain the error and its fix first.`,
      ),
  );
}
