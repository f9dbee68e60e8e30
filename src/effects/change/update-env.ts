/** Planning an edit of the environment: the doctor looks at the future text before anybody is asked to approve it. */
import { planUpdate as contract } from '../../../machines/effects/update-env.ts';
import { diagnose } from '../../doctor/diagnose.ts';
import type { Finding } from '../../doctor/findings.ts';
import { AppError } from '../../errors.ts';
import { factsOfTexts, hmacSha256 } from '../doctor/texts.ts';
import { defineHandler } from '../handler.ts';
import { toCamelCase } from '../target/effects.ts';
import { applyEdit, boundIn, boundVariables, httpsValues, newlyBad } from './env-edit.ts';
import { planChange } from './plan.ts';
import { changedVariables } from './recreated.ts';
import { assertReadable, readSnapshot, type SnapshotDocument } from './snapshot.ts';

export function planUpdate() {
  return defineHandler(contract, {
    async run(ctx, input) {
      const snapshot = await readSnapshot(ctx, input.snapshot);
      assertReadable(snapshot);
      const { set = {}, unset = [], secrets = {}, https = false, force = false } = input.request;
      const revealed: Record<string, string> = {};
      for (const [name, reference] of Object.entries(secrets)) revealed[name] = await ctx.secrets.reveal(reference);
      const converted = https ? httpsValues(snapshot.env, snapshot.routes) : { values: {}, notServed: [] };
      if (converted.notServed.length > 0) throw notServed(converted.notServed);
      const env = applyEdit(snapshot.env, { set: { ...set, ...revealed }, unset, https }, converted.values);
      const bound = boundIn(snapshot.env, env);
      if (bound.length > 0 && !force) throw boundRefused(bound);
      const findings = (text: string) => diagnose(factsOf(snapshot, text), { now: ctx.now(), hmac: hmacSha256 }).findings;
      const worse = newlyBad(findings(snapshot.env), findings(env));
      if (worse.length > 0) throw wouldBeWorse(worse);
      const names = [...changedVariables(snapshot.env, env)];
      const kept = (await ctx.target(input.target)).secrets;
      return planChange(ctx, snapshot, {
        workflow: 'update-env',
        env,
        note: {
          secrets: Object.fromEntries(
            Object.entries(secrets)
              .map(([name, reference]) => [toCamelCase(name), reference])
              .filter(([name = '']) => name in kept),
          ),
        },
        why: Object.fromEntries(
          names.map((name) => [
            name,
            name in converted.values && !(name in set) ? 'Its address is served over https.' : 'It was asked for.',
          ]),
        ),
        say:
          names.length === 0
            ? 'The environment is as asked for already: there is nothing to change.'
            : `${names.length} ${names.length === 1 ? 'variable changes' : 'variables change'}: ${names.slice(0, 12).join(', ')}${names.length > 12 ? ', …' : ''}.`,
        warnings: bound.map((name) => ({
          code: 'BOUND_VARIABLE',
          say: `${name}: ${boundVariables[name]?.why ?? ''}; only the environment is changed here.`,
        })),
      });
    },
  });
}

function factsOf({ compose, routes }: SnapshotDocument, env: string) {
  return { ...factsOfTexts({ env, compose }), domains: routes };
}

function notServed(hosts: readonly string[]): AppError {
  return new AppError('HTTPS_NOT_SERVED', {
    message: `${hosts.join(', ')} ${hosts.length === 1 ? 'is' : 'are'} served over http only: addresses with https would lead nowhere.`,
    fix: 'Give the domain https and a certificate first (manage-domain), then convert.',
    details: { hosts },
  });
}

function boundRefused(names: readonly string[]): AppError {
  const first = names.map((name) => `${name} (${boundVariables[name]?.why ?? ''}; ${useOf(boundVariables[name]?.workflow)})`);
  return new AppError('BOUND_VARIABLE', {
    message: `The variable alone is not enough for ${first.join(', ')}.`,
    fix: 'Start the named workflow instead, where one is named; force: true changes only the text, where you know that everything else was changed already.',
    details: { variables: Object.fromEntries(names.map((name) => [name, boundVariables[name]?.workflow ?? null])) },
  });
}

const useOf = (workflow: string | null | undefined) => (workflow ? `use ${workflow}` : 'no workflow changes it yet');

/** Codes and places only: a value could be a secret. */
function wouldBeWorse(findings: readonly Finding[]): AppError {
  return new AppError('ENVIRONMENT_WORSE', {
    message: `The changed environment would be wrong: ${findings
      .map(({ code, at }) => `${code} at ${at}`)
      .slice(0, 8)
      .join(', ')}.`,
    fix: findings[0]?.fix ?? 'Change the edit and try again.',
    details: { findings: findings.slice(0, 20).map(({ code, severity, at, say, expected }) => ({ code, severity, at, say, expected })) },
  });
}
