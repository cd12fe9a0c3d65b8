"""A client's talk with the guest's agent, sans-IO.

The guest has one agent and talks to one client at a time: the one that began last. What the agent makes of a client's
messages comes back as events for the test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spiceemu import events
from spiceemu.errors import InvalidValue, UnknownMessage, WrongState
from spiceemu.guest import agent as guest_agent
from spiceemu.guest.clipboard import TextReceived
from spiceemu.protocol.levels.compat import Feature

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spiceemu.channels.main import AgentReceived
    from spiceemu.events import Event
    from spiceemu.guest.machine import GuestEvent
    from spiceemu.protocol.agent.message import AgentMessage
    from spiceemu.sessions.session import Session


class AgentTalk:
    """One session's talk with the agent, or its lack.

    :param session: whose main channel carries the messages.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._guest = session.guest
        self._news: list[Event] = []
        self._unsubscribe = [self._guest.subscribe(self._on_guest)]
        if self._guest.agent is not None:
            self._unsubscribe.append(self._guest.agent.subscribe(self._on_agent))

    @property
    def is_held(self) -> bool:
        """Whether this client is the one that talks to the agent."""
        return self._guest.agent_client is self

    def close(self) -> None:
        """Hear no more of the guest; the agent's side stays as it is."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()

    def set_connected(self, connected: bool) -> None:
        """Let the guest's agent leave this client, or come back to it.

        :raises WrongState: the guest has no agent.
        """
        if self._guest.agent is None:
            raise WrongState("the guest has no agent")
        if connected:
            self._session.main.agent_connected()
        else:
            self.leave()
            self._session.main.agent_disconnected()

    def start(self) -> None:
        """The client begins to talk."""
        if self._guest.agent is not None:
            # What a client had copied before it came over is still there, if it does not say it again.
            self._guest.agent.start(self._send, keep_clipboards=self._session.arrival is not None)
            self._guest.agent_client = self

    def resume(self, state: Any) -> None:
        """Go on where the client was on another server of ours; ``state`` is of the main channel there."""
        if self._guest.agent is not None and state is not None:
            self._session.main.restore_agent(state)
            self._guest.agent.release(self._send)
            self._guest.agent_client = self

    def leave(self) -> None:
        """The talk is over, if it was this client's."""
        if self.is_held and self._guest.agent is not None:
            self._guest.agent_client = None
            self._guest.agent.reset()

    def receive(self, received: AgentReceived) -> Iterable[Event]:
        """Hand a message of the client to the agent; the events that come of it."""
        agent = self._guest.agent
        if agent is None or not self.is_held:
            return ()  # another client has begun to talk to it since
        try:
            message = received.message.parse(agent.layout)
        except UnknownMessage:
            return ()  # a later client's; agents ignore what they do not know
        agent.receive(message)
        news, self._news = self._news, []
        return (events.AgentMessage(message, len(received.message.data)), *news)

    def _send(self, message: AgentMessage) -> None:
        main = self._session.find_main()
        if main is not None and self._guest.agent is not None:  # a client on its way to another server has left it
            main.send_agent(message, self._guest.agent.layout)

    def _on_agent(self, event: guest_agent.AgentEvent) -> None:
        if not self.is_held:
            return
        match event:
            case guest_agent.MonitorsRequested(monitors):
                asked = tuple((monitor.x, monitor.y, monitor.width, monitor.height) for monitor in monitors)
                self._news.append(events.MonitorsRequested(asked))
                # Who cannot be told of a second head gets none.
                shown = monitors if self._session.level.has(Feature.MONITORS_CONFIG) else monitors[:1]
                try:
                    self._guest.lay_out(shown)
                except InvalidValue as error:
                    self._news.append(events.RequestRefused(str(error)))
            case guest_agent.PointerPlaced(x, y, buttons, display_id):
                self._session.place_pointer(x, y, buttons, display_id)

    def _on_guest(self, event: GuestEvent) -> None:
        match event:
            case TextReceived(selection) if self.is_held:
                text = self._guest.clipboard.text_of(selection)
                self._news.append(events.ClipboardText(text or "", selection))
