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

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from spiceemu.channels.main import AgentReceived, MainChannel
    from spiceemu.events import Event
    from spiceemu.guest.machine import Guest, GuestEvent
    from spiceemu.protocol.agent.message import AgentMessage

    PlacePointer = Callable[[int, int, int, int], None]


class AgentTalk:
    """One session's talk with the agent, or its lack.

    :param guest: whose agent it is.
    :param main: gives the client's main channel, which carries the messages; None once it is closed.
    :param place_pointer: puts the guest's pointer at x and y, with these buttons, on a display of the client's.
    :param has_heads: whether the client can be told of several heads.
    """

    def __init__(
        self, guest: Guest, main: Callable[[], MainChannel | None], place_pointer: PlacePointer, *, has_heads: bool
    ) -> None:
        self._guest = guest
        self._main = main
        self._place_pointer = place_pointer
        self._has_heads = has_heads
        self._news: list[Event] = []
        self._unsubscribe = [guest.subscribe(self._on_guest)]
        if guest.agent is not None:
            self._unsubscribe.append(guest.agent.subscribe(self._on_agent))

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

        :raises WrongState: the guest has no agent, or the client's main channel is closed.
        """
        main = self._main()
        if self._guest.agent is None:
            raise WrongState("the guest has no agent")
        if main is None:
            raise WrongState("the client has no channel main:0 open")
        if connected:
            main.agent_connected()
        else:
            self.leave()
            main.agent_disconnected()

    def start(self, *, keep_clipboards: bool) -> None:
        """The client begins to talk.

        :param keep_clipboards: whether it came over from another server: what it had copied before is still there, if
            it does not say it again.
        """
        if self._guest.agent is not None:
            self._guest.agent.start(self._send, keep_clipboards=keep_clipboards)
            self._guest.agent_client = self

    def load(self, saved: Any) -> None:
        """Go on where the client was on another server of ours; ``saved`` is what its main channel has saved there."""
        main = self._main()
        if self._guest.agent is not None and saved is not None and main is not None:
            main.load_agent(saved)
            self._guest.agent.release(self._send)
            self._guest.agent_client = self

    def leave(self) -> None:
        """The talk is over, if it was this client's."""
        if self.is_held and self._guest.agent is not None:
            self._guest.agent_client = None
            self._guest.agent.reset()

    def receive(self, received: AgentReceived) -> Sequence[Event]:
        """Hand a message of the client to the agent.

        :returns: the events that come of it.
        """
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
        main = self._main()
        if main is not None and self._guest.agent is not None:  # a client on its way to another server has left it
            main.send_agent(message, self._guest.agent.layout)

    def _on_agent(self, event: guest_agent.AgentEvent) -> None:
        if not self.is_held:
            return
        match event:
            case guest_agent.MonitorsWanted(monitors):
                asked = tuple((monitor.x, monitor.y, monitor.width, monitor.height) for monitor in monitors)
                self._news.append(events.MonitorsRequested(asked))
                # Who cannot be told of a second head gets none.
                shown = monitors if self._has_heads else monitors[:1]
                try:
                    self._guest.lay_out(shown)
                except InvalidValue as error:
                    self._news.append(events.RequestRefused(str(error)))
            case guest_agent.PointerPlaced(x, y, buttons, display_id):
                self._place_pointer(x, y, buttons, display_id)

    def _on_guest(self, event: GuestEvent) -> None:
        match event:
            case TextReceived(selection) if self.is_held:
                text = self._guest.clipboard.text_of(selection)
                self._news.append(events.ClipboardText(text or "", selection))
