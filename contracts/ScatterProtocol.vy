# pragma version 0.4.3
# pragma optimize codesize
# pragma nonreentrancy on
"""
@title ScatterProtocol
@license Apache-2.0
"""

event JobCreated:
    job: indexed(uint256)
    requester: indexed(address)
    trainingJob: bytes32
    evaluationJob: bytes32
    datasetCommitment: bytes32
    topic: String[64]
    reward: uint256
    threshold: uint256
    floor: uint256
    mostTrainers: uint256
    leastStake: uint256
    trainingTime: uint256


event TrainerJoined:
    job: indexed(uint256)
    trainer: indexed(address)
    stake: uint256


event TrainingStarted:
    job: indexed(uint256)
    actor: indexed(address)


event JobCancelled:
    job: indexed(uint256)
    actor: indexed(address)


event ModelSubmitted:
    job: indexed(uint256)
    trainer: indexed(address)
    model: bytes32
    keyCommitment: bytes32


event TrainingClosed:
    job: indexed(uint256)
    actor: indexed(address)
    seedBlock: uint256
    electorate: uint256
    eligibleValidators: uint256


event SeedRenewed:
    job: indexed(uint256)
    actor: indexed(address)
    seedBlock: uint256


event CommitteeDrawn:
    job: indexed(uint256)
    actor: indexed(address)
    members: DynArray[address, 16]
    stakes: DynArray[uint256, 16]


event DatasetPublished:
    job: indexed(uint256)
    requester: indexed(address)
    dataset: bytes32


event ScoresCommitted:
    job: indexed(uint256)
    member: indexed(address)
    commitment: bytes32


event Refrained:
    job: indexed(uint256)
    member: indexed(address)


event ScoresRevealed:
    job: indexed(uint256)
    member: indexed(address)
    scores: DynArray[uint256, 64]


event Accused:
    job: indexed(uint256)
    accuser: indexed(address)
    target: indexed(address)


event Voted:
    job: indexed(uint256)
    voter: indexed(address)
    target: indexed(address)
    guilty: bool


event Condemned:
    job: indexed(uint256)
    target: indexed(address)
    accuser: address


event JobSettled:
    job: indexed(uint256)
    actor: indexed(address)
    verdict: uint256


event KeyRequested:
    job: indexed(uint256)
    trainer: indexed(address)
    asker: indexed(address)
    publicKey: Bytes[64]


event KeyAnswered:
    job: indexed(uint256)
    trainer: indexed(address)
    asker: indexed(address)
    sealedKey: Bytes[256]


jobCount: public(uint256)


@external
def createJob(
    trainingJob: bytes32,
    evaluationJob: bytes32,
    datasetCommitment: bytes32,
    topic: String[64],
    reward: uint256,
    threshold: uint256,
    modelFloor: uint256,
    mostTrainers: uint256,
    leastStake: uint256,
    trainingTime: uint256,
) -> uint256:
    job: uint256 = self.jobCount + 1
    self.jobCount = job
    return job


@external
def joinJob(job: uint256, stake: uint256):
    log TrainerJoined(job=job, trainer=msg.sender, stake=stake)


@external
def startJob(job: uint256):
    log TrainingStarted(job=job, actor=msg.sender)


@external
def cancelJob(job: uint256):
    log JobCancelled(job=job, actor=msg.sender)


@external
def submitModel(job: uint256, model: bytes32, keyCommitment: bytes32):
    log ModelSubmitted(job=job, trainer=msg.sender, model=model, keyCommitment=keyCommitment)


@external
def closeTraining(job: uint256):
    pass


@external
def drawCommittee(job: uint256):
    pass


@external
def publishDataset(job: uint256, dataset: bytes32, salt: bytes32):
    log DatasetPublished(job=job, requester=msg.sender, dataset=dataset)


@external
def commitScores(job: uint256, commitment: bytes32):
    log ScoresCommitted(job=job, member=msg.sender, commitment=commitment)


@external
def refrain(job: uint256):
    log Refrained(job=job, member=msg.sender)


@external
def revealScores(job: uint256, member: address, scores: DynArray[uint256, 64], salt: bytes32):
    log ScoresRevealed(job=job, member=member, scores=scores)


@external
def accuse(job: uint256, target: address):
    log Accused(job=job, accuser=msg.sender, target=target)


@external
def vote(job: uint256, target: address, guilty: bool):
    log Voted(job=job, voter=msg.sender, target=target, guilty=guilty)


@external
def settle(job: uint256):
    log JobSettled(job=job, actor=msg.sender, verdict=0)


@external
def register(role: uint256, amount: uint256):
    pass


@external
def requestUnstake():
    pass


@external
def withdraw():
    pass


@external
def requestKey(job: uint256, trainer: address, publicKey: Bytes[64]):
    log KeyRequested(job=job, trainer=trainer, asker=msg.sender, publicKey=publicKey)


@external
def answerKey(job: uint256, asker: address, sealedKey: Bytes[256]):
    log KeyAnswered(job=job, trainer=msg.sender, asker=asker, sealedKey=sealedKey)


@view
@external
def phase(job: uint256) -> (uint256, uint256):
    return 0, 0


@view
@external
def isElector(job: uint256, account: address) -> bool:
    return False


@view
@external
def mayAskKey(job: uint256, trainer: address, asker: address) -> bool:
    return False
