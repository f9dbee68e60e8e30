/** Testing the mail server that the wizard was given. */
import { verifySmtp as contract } from '../../../machines/effects/smtp.ts';
import { AppError } from '../../errors.ts';
import { defineHandler } from '../handler.ts';

export function createSmtpHandlers() {
  return {
    'smtp.verify@1': defineHandler(contract, {
      async run(ctx, { dokploy, host, port, user, pass: reference, adminEmail, senderName }) {
        const [{ isSmtpPlaceholder, verifySmtp }, { quoteValue }] = await Promise.all([import('./verify.ts'), import('../../env-text.ts')]);
        const pass = await ctx.secrets.reveal(reference);
        const given = { host, port, user, pass, adminEmail, senderName };
        const fakes = (['host', 'port', 'user', 'pass', 'adminEmail', 'senderName'] as const).filter((field) =>
          isSmtpPlaceholder(field, given[field]),
        );
        if (fakes.length > 0) throw placeholder(fakes);
        // Found now, not in the middle of the deployment: these values must fit into the environment text.
        quoteValue('SMTP_PASS', pass);
        quoteValue('SMTP_USER', user);
        quoteValue('SMTP_SENDER_NAME', senderName);
        const { reach } = await ctx.dokploy(dokploy);
        await verifySmtp({ host, port, user, pass }, { reach, signal: ctx.signal });
        return { verified: true as const, warnings: [] };
      },
    }),
  };
}

function placeholder(fields: readonly string[]): AppError {
  return new AppError('SMTP_PLACEHOLDER', {
    message: `These mail settings are placeholders that send no mail: ${fields.join(', ')}.`,
    fix: 'Give the settings of your mail provider, or skip this step knowingly.',
    details: { fields },
  });
}
