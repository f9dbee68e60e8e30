/** The target's record follows a change that is done, and goes back with it: a row of our own store, written with the outcome. */
import { noteChange as contract } from '../../../machines/effects/change.ts';
import { defineHandler, type TargetRecord } from '../handler.ts';
import { type ChangeDocument, readChange } from './document.ts';

type Image = Pick<TargetRecord, 'secrets' | 'url' | 'facts'>;

export function noteChange() {
  return defineHandler(contract, {
    async prepare(ctx, input): Promise<Image> {
      const { secrets, url, facts } = await ctx.target(input.target);
      return { secrets, url, facts };
    },
    async run(ctx, input) {
      const { note } = await readChange(ctx, input);
      const target = await ctx.target(input.target);
      if (!isNoted(target, note)) ctx.saveTarget(noted(target, note));
      return { secrets: Object.keys(note.secrets) };
    },
    // Staged only: it stands there when its outcome was committed, and not before.
    async probe(ctx, input) {
      const { note } = await readChange(ctx, input);
      const stands = isNoted(await ctx.target(input.target), note);
      return stands ? { state: 'applied', output: { secrets: Object.keys(note.secrets) } } : { state: 'absent' };
    },
    async undo(ctx, input, before) {
      const target = await ctx.target(input.target);
      ctx.saveTarget({ ...target, ...before });
    },
  });
}

function noted(target: TargetRecord, { secrets, url, facts }: ChangeDocument['note']): TargetRecord {
  return { ...target, secrets: { ...target.secrets, ...secrets }, url: url ?? target.url, facts: { ...target.facts, ...facts } };
}

function isNoted(target: TargetRecord, note: ChangeDocument['note']): boolean {
  return JSON.stringify(noted(target, note)) === JSON.stringify(target);
}
