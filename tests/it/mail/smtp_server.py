"""A mail server (aiosmtpd) whose answers depend on the recipient: `unknown@` is refused, `busy@` is busy, and so on.

Arguments: the folder that accepted mails are written to, and how connections are encrypted (plain, starttls, tls). Prints
its port, and ends when standard input does.
"""

import asyncio
import pathlib
import ssl
import sys

import trustme
from aiosmtpd.smtp import SMTP, AuthResult


class Mailboxes:
    def __init__(self, folder):
        self.folder = folder
        self.accepted = 0

    async def handle_MAIL(self, server, session, envelope, address, options):
        if address.startswith("banned@"):
            return "550 5.7.1 sender not allowed"
        envelope.mail_from = address
        return "250 sender accepted"

    async def handle_RCPT(self, server, session, envelope, address, options):
        user = address.split("@")[0]
        if user == "unknown":
            return "550 5.1.1 no such mailbox"
        if user == "relayed":
            return "554 5.7.1 relay access denied"
        if user == "full":
            return "552 5.2.2 mailbox full"
        if user == "busy":
            return "450 4.2.0 mailbox busy"
        if user == "silent":
            await asyncio.sleep(60)
        envelope.rcpt_tos.append(address)
        return "250 recipient accepted"

    async def handle_DATA(self, server, session, envelope):
        user = envelope.rcpt_tos[0].split("@")[0]
        if user == "rejected":
            return "554 5.7.1 content rejected"
        if user == "later":
            return "451 4.3.0 try again later"
        # From here on the server has the mail, whatever the client learns of it.
        self.accepted += 1
        name = f"{self.accepted}-{user}-{session.peer[1]}"
        (self.folder / f"{name}.eml").write_bytes(envelope.original_content)
        if user == "lost":
            server.transport.abort()
        if user == "mute":
            await asyncio.sleep(60)
        return f"250 accepted as {name}"


def authenticate(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (b"medhub", b"the right one"))


async def main():
    folder, encryption = pathlib.Path(sys.argv[1]), sys.argv[2]
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    handler = Mailboxes(folder)

    def connection():
        if encryption == "starttls":
            return SMTP(
                handler, tls_context=context, require_starttls=True, auth_required=True, authenticator=authenticate
            )
        return SMTP(handler)

    tls = context if encryption == "tls" else None
    loop = asyncio.get_running_loop()
    server = await loop.create_server(connection, "127.0.0.1", 0, ssl=tls)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
